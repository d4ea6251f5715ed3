//! What a list of transactions looks up for its candidates: each by its own key, whatever the
//! planner believes of the tables.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use crate::domain::{AccountId, TransactionId};
use crate::store::column;
use crate::store::schema::transactions;

/// What a transaction has in its own row that lists ask for.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = transactions)]
pub(super) struct Head {
    pub(super) id: TransactionId,
    pub(super) kind: String,
    pub(super) group_id: Option<String>,
    pub(super) entry_count: i32,
    pub(super) record_time: Timestamp,
}

/// The heads of transactions. Unknown ids are left out.
pub(super) fn heads(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<TransactionId>,
) -> QueryResult<BTreeMap<TransactionId, Head>> {
    const READ: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT id, kind, group_id, entry_count, record_time FROM transactions \
            WHERE tenant_id = $1 AND id = n.id LIMIT 1) t";
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    let rows: Vec<Head> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|head| (head.id, head)).collect())
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = transactions)]
struct Kept {
    id: TransactionId,
}

/// Those of the transactions that have all of these labels.
pub(super) fn with_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<TransactionId>,
    labels: &[(&str, &str)],
) -> QueryResult<BTreeSet<TransactionId>> {
    const READ: &str = "\
        SELECT n.id FROM unnest($2) AS n (id) WHERE NOT EXISTS ( \
            SELECT FROM unnest($3, $4) AS w (key, value) \
            WHERE w.value IS DISTINCT FROM (SELECT value FROM labels \
                WHERE tenant_id = $1 AND transaction_id = n.id AND key = w.key))";
    let binds = (
        tenant.into_sql::<Uuid>(),
        ids.into_sql::<Array<Uuid>>(),
        column(labels, |label| label.0).into_sql::<Array<Text>>(),
        column(labels, |label| label.1).into_sql::<Array<Text>>(),
    );
    let rows: Vec<Kept> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Those of the transactions that have an entry of an account.
pub(super) fn with_account(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<TransactionId>,
    account: AccountId,
) -> QueryResult<BTreeSet<TransactionId>> {
    // As an array, so that the look-up is by the transaction and never by the account.
    const READ: &str = "\
        SELECT n.id FROM unnest($2) AS n (id) WHERE $3 = ANY (ARRAY( \
            SELECT account_id FROM entries WHERE tenant_id = $1 AND transaction_id = n.id))";
    let binds =
        (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>(), account.into_sql::<Uuid>());
    let rows: Vec<Kept> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
