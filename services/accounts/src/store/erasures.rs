//! What follows from erasures in the records service: `erasure_cursors`, and the texts of people in
//! all tables.

use diesel::prelude::*;
use diesel::sql_types::Uuid;
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::erasure_cursors;
use super::{customer_external_ids, customer_labels};
use crate::domain::CustomerId;

/// Up to where the erasures of a tenant are followed; none before the first time.
pub(crate) fn cursor(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Option<String>> {
    let cursor = erasure_cursors::table.find(tenant).select(erasure_cursors::cursor);
    cursor.first(conn).optional()
}

/// Stores up to where they are followed.
pub(crate) fn set_cursor(
    conn: &mut PgConnection,
    tenant: TenantId,
    cursor: &str,
    now: Timestamp,
) -> QueryResult<()> {
    let set = (erasure_cursors::cursor.eq(cursor), erasure_cursors::update_time.eq(now));
    diesel::insert_into(erasure_cursors::table)
        .values((erasure_cursors::tenant_id.eq(tenant), set))
        .on_conflict(erasure_cursors::tenant_id)
        .do_update()
        .set(set)
        .execute(conn)?;
    Ok(())
}

const REDACT: [&str; 3] = [
    "DELETE FROM account_labels l USING accounts a \
     WHERE a.tenant_id = $1 AND a.customer_id = $2 AND l.tenant_id = $1 AND l.account_id = a.id",
    "DELETE FROM account_external_ids e USING accounts a \
     WHERE a.tenant_id = $1 AND a.customer_id = $2 AND e.tenant_id = $1 AND e.account_id = a.id",
    "UPDATE freezes f SET case_reference = NULL \
     WHERE f.tenant_id = $1 AND f.case_reference IS NOT NULL AND (f.customer_id = $2 \
        OR f.account_id IN (SELECT id FROM accounts WHERE tenant_id = $1 AND customer_id = $2))",
];

/// Removes what people wrote of a locked customer and of the accounts that it was opened for.
pub(crate) fn redact(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
) -> QueryResult<()> {
    customer_labels::delete(conn, tenant, customer)?;
    customer_external_ids::delete(conn, tenant, customer)?;
    for redact in REDACT {
        let binds = (tenant.into_sql::<Uuid>(), customer.into_sql::<Uuid>());
        statement(redact, binds).execute(conn)?;
    }
    Ok(())
}
