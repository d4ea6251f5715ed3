//! The wrapped keys of blind indexes.

use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::keys::{TenantKeyRow, keep_current};
use super::schema::{index_keys, record_index, tenant_keys};

/// The wrapped key of a tenant's blind indexes in a version.
#[derive(Debug, Clone, Queryable, Insertable, Selectable)]
#[diesel(table_name = index_keys)]
pub(crate) struct IndexKeyRow {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
    /// The version: 1, 2, 3.
    pub(crate) version: i32,
    /// Which key of the tenant wraps it.
    pub(crate) tenant_key_epoch: i32,
    /// What the tenant's key made of it.
    pub(crate) wrapped: Vec<u8>,
    /// When it was made.
    pub(crate) create_time: Timestamp,
    /// When another took its place for what is new.
    pub(crate) retire_time: Option<Timestamp>,
}

/// Inserts a key; false where the version has one, or the epoch that wraps it has ended.
pub(crate) fn insert(conn: &mut PgConnection, row: &IndexKeyRow) -> QueryResult<bool> {
    if !keep_current(conn, row.tenant_id, row.tenant_key_epoch)? {
        return Ok(false);
    }
    let inserted = diesel::insert_into(index_keys::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads the keys of all versions with the keys above them, the last in front: what is new is
/// indexed by the first of them, and looked up by all.
pub(crate) fn live(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> QueryResult<Vec<(IndexKeyRow, TenantKeyRow)>> {
    let above = tenant_keys::tenant_id
        .eq(index_keys::tenant_id)
        .and(tenant_keys::epoch.eq(index_keys::tenant_key_epoch));
    index_keys::table
        .inner_join(tenant_keys::table.on(above))
        .filter(index_keys::tenant_id.eq(tenant))
        .order(index_keys::version.desc())
        .select((IndexKeyRow::as_select(), TenantKeyRow::as_select()))
        .load(conn)
}

/// Ends the versions before another for what is new.
pub(crate) fn retire(
    conn: &mut PgConnection,
    tenant: TenantId,
    before: i32,
    now: Timestamp,
) -> QueryResult<()> {
    let ended = index_keys::table
        .filter(index_keys::tenant_id.eq(tenant))
        .filter(index_keys::version.lt(before))
        .filter(index_keys::retire_time.is_null());
    diesel::update(ended).set(index_keys::retire_time.eq(now)).execute(conn)?;
    Ok(())
}

/// How many index rows each version has made; those without any are left out.
pub(crate) fn uses(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<BTreeMap<i32, i64>> {
    let uses: Vec<(i32, i64)> = record_index::table
        .filter(record_index::tenant_id.eq(tenant))
        .group_by(record_index::key_version)
        .select((record_index::key_version, count_star()))
        .load(conn)?;
    Ok(uses.into_iter().collect())
}

/// Puts another wrap, by the key of another epoch, in the place of one; false where that one is not
/// there any more.
pub(crate) fn rewrap(
    conn: &mut PgConnection,
    old: &IndexKeyRow,
    epoch: i32,
    wrapped: &[u8],
) -> QueryResult<bool> {
    let same = index_keys::table
        .find((old.tenant_id, old.version))
        .filter(index_keys::wrapped.eq(&old.wrapped));
    let new = (index_keys::tenant_key_epoch.eq(epoch), index_keys::wrapped.eq(wrapped));
    Ok(diesel::update(same).set(new).execute(conn)? == 1)
}

/// The versions of all keys, the last in front.
pub(crate) fn versions(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Vec<i32>> {
    index_keys::table
        .filter(index_keys::tenant_id.eq(tenant))
        .order(index_keys::version.desc())
        .select(index_keys::version)
        .load(conn)
}
