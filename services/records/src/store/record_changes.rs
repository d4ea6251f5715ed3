//! Changes of records: their rows, their next versions and their labels.

use diesel::prelude::*;
use shared::ids::TenantId;

use super::records;
use super::schema::{record_labels, records as table};
use crate::domain::record::{Record, RecordId};

/// Reads a record as of its last version, and keeps others from changing it until the end of the
/// transaction. Its subject is locked before.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RecordId,
) -> QueryResult<Option<Record>> {
    let row = table::table.find((tenant, id)).select(table::id).for_update();
    if row.first::<RecordId>(conn).optional()?.is_none() {
        return Ok(None);
    }
    Ok(records::select(conn, tenant, id)?.map(|(record, _)| record))
}

/// Replaces what a record says of itself, but for its labels.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
) -> QueryResult<()> {
    diesel::update(table::table.find((tenant, record.id)))
        .set((
            table::event_time.eq(record.event_time),
            table::version.eq(record.version),
            table::revision.eq(record.revision),
            table::update_time.eq(record.update_time),
            table::state.eq(records::column(record.state)),
            table::delete_time.eq(record.delete_time),
            table::purge_time.eq(record.purge_time),
            table::expire_time.eq(record.expire_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Replaces the record's labels.
pub(crate) fn replace_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
) -> QueryResult<()> {
    delete_labels(conn, tenant, record.id)?;
    let row = |(key, value): (&String, &String)| {
        (
            record_labels::tenant_id.eq(tenant),
            record_labels::record_id.eq(record.id),
            record_labels::key.eq(key.clone()),
            record_labels::value.eq(value.clone()),
        )
    };
    let rows: Vec<_> = record.labels.iter().map(row).collect();
    diesel::insert_into(record_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Deletes the record's labels.
pub(crate) fn delete_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RecordId,
) -> QueryResult<()> {
    let labels = record_labels::table
        .filter(record_labels::tenant_id.eq(tenant))
        .filter(record_labels::record_id.eq(id));
    diesel::delete(labels).execute(conn)?;
    Ok(())
}
