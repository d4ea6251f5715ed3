//! The table of objects that nothing needs any more. A row is written in the transaction that makes
//! them needless, and goes once they are gone.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::object_deletes;

/// Notes that all objects below a path are to be deleted, at a time.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    path: &str,
    due: Timestamp,
) -> QueryResult<()> {
    let row = (
        object_deletes::tenant_id.eq(tenant),
        object_deletes::id.eq(Uuid::now_v7()),
        object_deletes::path.eq(path),
        object_deletes::due_time.eq(due),
    );
    diesel::insert_into(object_deletes::table).values(row).execute(conn)?;
    Ok(())
}

/// What was noted first, of what is due.
pub(crate) fn select_first(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<(Uuid, String)>> {
    object_deletes::table
        .filter(object_deletes::tenant_id.eq(tenant))
        .filter(object_deletes::due_time.le(now))
        .order(object_deletes::id)
        .limit(limit)
        .select((object_deletes::id, object_deletes::path))
        .load(conn)
}

/// Forgets what has been deleted.
pub(crate) fn delete(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> QueryResult<()> {
    let done = object_deletes::table
        .filter(object_deletes::tenant_id.eq(tenant))
        .filter(object_deletes::id.eq_any(ids));
    diesel::delete(done).execute(conn)?;
    Ok(())
}
