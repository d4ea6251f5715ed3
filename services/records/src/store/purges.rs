//! Purges: what a record was is destroyed, and that there was one stays.

use diesel::dsl::exists;
use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::record_versions;
use super::{object_deletes, record_changes, record_index};
use crate::domain::record::Record;

/// Purges a record, and gives it as it is then. The caller has locked its subject and it.
pub(crate) fn purge(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    now: Timestamp,
) -> QueryResult<Record> {
    let purged = record.clone().purge(now);
    destroy(conn, tenant, &purged)?;
    Ok(purged)
}

/// Destroys the keys and bodies of all versions of a record that is purged, takes it out of the
/// indexes and its labels away, and writes down that its objects are to be deleted.
pub(crate) fn destroy(
    conn: &mut PgConnection,
    tenant: TenantId,
    purged: &Record,
) -> QueryResult<()> {
    let id = purged.id;
    let versions = record_versions::table
        .filter(record_versions::tenant_id.eq(tenant))
        .filter(record_versions::record_id.eq(id));
    let outside = versions.filter(record_versions::segments.is_not_null());
    if diesel::select(exists(outside)).get_result(conn)? {
        let path = format!("bodies/{}/{}", tenant.uuid(), id.uuid());
        let now = purged.purge_time.unwrap_or(purged.update_time);
        object_deletes::insert(conn, tenant, &path, now)?;
    }
    diesel::update(versions)
        .set((
            record_versions::body.eq(None::<Vec<u8>>),
            record_versions::data_key.eq(None::<Vec<u8>>),
            record_versions::commitment_salt.eq(None::<Vec<u8>>),
            record_versions::segments.eq(None::<i32>),
        ))
        .execute(conn)?;
    record_index::delete(conn, tenant, id)?;
    record_changes::delete_labels(conn, tenant, id)?;
    record_changes::update(conn, tenant, purged)
}
