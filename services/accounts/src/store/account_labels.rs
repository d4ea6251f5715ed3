//! `account_labels`: the callers' own keys and values, where they can be redacted.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::account_labels;
use crate::domain::{Account, AccountId};

#[derive(Debug, Insertable)]
#[diesel(table_name = account_labels)]
struct Row<'a> {
    tenant_id: TenantId,
    account_id: AccountId,
    key: &'a str,
    value: &'a str,
    create_time: Timestamp,
}

/// Inserts the labels of an account that has none.
pub(super) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> QueryResult<()> {
    if account.terms.labels.is_empty() {
        return Ok(());
    }
    let rows = account.terms.labels.iter().map(|(key, value)| Row {
        tenant_id: tenant,
        account_id: account.id,
        key,
        value,
        create_time: account.create_time,
    });
    let rows: Vec<Row> = rows.collect();
    diesel::insert_into(account_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Puts the labels of a locked account in the place of those that it had.
pub(crate) fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> QueryResult<()> {
    diesel::delete(account_labels::table)
        .filter(account_labels::tenant_id.eq(tenant))
        .filter(account_labels::account_id.eq(account.id))
        .execute(conn)?;
    insert(conn, tenant, account)
}

/// Reads the labels of accounts, in one statement.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
) -> QueryResult<BTreeMap<AccountId, BTreeMap<String, String>>> {
    let labels: Vec<(AccountId, String, String)> = account_labels::table
        .filter(account_labels::tenant_id.eq(tenant))
        .filter(account_labels::account_id.eq_any(ids))
        .select((account_labels::account_id, account_labels::key, account_labels::value))
        .load(conn)?;
    let mut found: BTreeMap<AccountId, BTreeMap<String, String>> = BTreeMap::new();
    for (id, key, value) in labels {
        found.entry(id).or_default().insert(key, value);
    }
    Ok(found)
}
