//! Redaction: texts and salts go for good, and what was committed to them stays. It is all that the
//! runtime role may change about a text.
//!
//! Each statement finds only what is not redacted yet, so that a second redaction changes nothing.

use diesel::prelude::*;
use diesel::sql_types::{SmallInt, Uuid};
use shared::changes;
use shared::db::statement;
use shared::ids::TenantId;

use super::external_ids::collection_column;
use crate::domain::{Collection, HoldId, Redaction, TransactionId, redacted_leaf};

/// Empties what was written about a transaction. Whether there was anything.
pub(crate) fn redact_transaction(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> QueryResult<bool> {
    const TEXTS: &str = "\
        UPDATE texts SET text = '', salt = NULL \
        WHERE tenant_id = $1 AND transaction_id = $2 AND (salt IS NOT NULL OR text <> '')";
    // A key may be a text too. The new ones are random, so that none meets another key. The oldest
    // labels never had a salt.
    const LABELS: &str = "\
        UPDATE labels SET key = 'redacted-' || gen_random_uuid(), value = '', salt = NULL \
        WHERE tenant_id = $1 AND transaction_id = $2 AND (salt IS NOT NULL \
            OR (commitment IS NULL AND (value <> '' OR key NOT LIKE 'redacted-%')))";
    let binds = || (tenant.into_sql::<Uuid>(), id.into_sql::<Uuid>());
    let texts = statement(TEXTS, binds()).execute(conn)?;
    let labels = statement(LABELS, binds()).execute(conn)?;
    let ids = redact_external_ids(conn, tenant, Collection::Transactions, id.uuid())?;
    Ok(texts + labels + ids > 0)
}

/// Empties what was written about a hold and its events. Whether there was anything.
pub(crate) fn redact_hold(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: HoldId,
) -> QueryResult<bool> {
    const TEXTS: &str = "\
        UPDATE hold_texts SET text = '', salt = NULL \
        WHERE tenant_id = $1 AND hold_id = $2 AND salt IS NOT NULL";
    let binds = (tenant.into_sql::<Uuid>(), id.into_sql::<Uuid>());
    let texts = statement(TEXTS, binds).execute(conn)?;
    let ids = redact_external_ids(conn, tenant, Collection::Holds, id.uuid())?;
    Ok(texts + ids > 0)
}

/// An external id that is redacted can be given again: the index of those in use has it no more.
fn redact_external_ids(
    conn: &mut PgConnection,
    tenant: TenantId,
    collection: Collection,
    holder: uuid::Uuid,
) -> QueryResult<usize> {
    const EXTERNAL_IDS: &str = "\
        UPDATE external_ids SET value = NULL, salt = NULL \
        WHERE tenant_id = $1 AND collection = $2 AND holder_id = $3 AND salt IS NOT NULL";
    let binds = (
        tenant.into_sql::<Uuid>(),
        collection_column(collection).into_sql::<SmallInt>(),
        holder.into_sql::<Uuid>(),
    );
    statement(EXTERNAL_IDS, binds).execute(conn)
}

/// Says that texts are gone: an event, and a leaf of the log.
pub(crate) fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    redaction: &Redaction<'_>,
) -> QueryResult<()> {
    let data = redacted_leaf(tenant, redaction);
    changes::record(conn, tenant, redaction.kind, &redaction.subject, &data, redaction.time)
}
