//! The table of uploads.
//!
//! Whoever streams into an upload holds a lease. Every write of a stream names it, and writes
//! nothing once another stream has taken the upload over.

mod leases;

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::object_deletes;
use super::schema::uploads;
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;
use crate::domain::upload::{Lease, Upload, UploadId};
use crate::vault::segments;

pub(crate) use leases::{advance, finish, release, renew, take};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = uploads)]
struct Row {
    tenant_id: TenantId,
    id: UploadId,
    request_hash: Vec<u8>,
    record_id: RecordId,
    subject_id: SubjectId,
    version: i64,
    header: String,
    data_key_id: Uuid,
    subject_key_generation: i32,
    data_key: Option<Vec<u8>>,
    segments: i32,
    received_bytes: i64,
    lease_id: Option<Uuid>,
    lease_time: Option<Timestamp>,
    create_time: Timestamp,
    expire_time: Timestamp,
    done_time: Option<Timestamp>,
}

impl TryFrom<Row> for Upload {
    type Error = diesel::result::Error;

    fn try_from(row: Row) -> QueryResult<Self> {
        let wrong = |error| diesel::result::Error::DeserializationError(Box::new(error));
        let lease = row.lease_id.zip(row.lease_time);
        Ok(Self {
            id: row.id,
            request_hash: row.request_hash,
            record: row.record_id,
            subject: row.subject_id,
            version: row.version,
            header: serde_json::from_str(&row.header).map_err(wrong)?,
            data_key_id: row.data_key_id,
            subject_key_generation: row.subject_key_generation,
            data_key: row.data_key,
            // The table has none below zero.
            segments: row.segments.unsigned_abs(),
            received: row.received_bytes.unsigned_abs(),
            lease: lease.map(|(id, until)| Lease { id, until }),
            create_time: row.create_time,
            expire_time: row.expire_time,
            done_time: row.done_time,
        })
    }
}

fn column<T, C: TryFrom<T, Error: std::error::Error + Send + Sync + 'static>>(
    value: T,
) -> QueryResult<C> {
    C::try_from(value).map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))
}

/// Inserts an upload; false where there is one of its id.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    upload: &Upload,
) -> QueryResult<bool> {
    let wrong = |error| diesel::result::Error::SerializationError(Box::new(error));
    let row = Row {
        tenant_id: tenant,
        id: upload.id,
        request_hash: upload.request_hash.clone(),
        record_id: upload.record,
        subject_id: upload.subject,
        version: upload.version,
        header: serde_json::to_string(&upload.header).map_err(wrong)?,
        data_key_id: upload.data_key_id,
        subject_key_generation: upload.subject_key_generation,
        data_key: upload.data_key.clone(),
        segments: column(upload.segments)?,
        received_bytes: column(upload.received)?,
        lease_id: upload.lease.map(|lease| lease.id),
        lease_time: upload.lease.map(|lease| lease.until),
        create_time: upload.create_time,
        expire_time: upload.expire_time,
        done_time: upload.done_time,
    };
    let inserted = diesel::insert_into(uploads::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads an upload.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
) -> QueryResult<Option<Upload>> {
    let row = uploads::table.find((tenant, id)).select(Row::as_select()).first(conn).optional()?;
    row.map(Row::try_into).transpose()
}

/// Reads an upload and keeps others from it until the end of the transaction.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
) -> QueryResult<Option<Upload>> {
    let row = uploads::table.find((tenant, id)).select(Row::as_select());
    row.for_update().first(conn).optional()?.map(Row::try_into).transpose()
}

/// Removes an upload, and has its segments deleted, unless another stream has it now.
pub(crate) fn abandon(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Uuid,
    now: Timestamp,
) -> QueryResult<()> {
    match lock(conn, tenant, id)? {
        Some(upload) if upload.lease.is_some_and(|held| held.id == lease) => {
            remove(conn, tenant, &upload, now)
        }
        _ => Ok(()),
    }
}

/// Removes those with which nobody goes on, and those that were done a while ago. Tells how many.
pub(crate) fn remove_expired(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<usize> {
    let idle = uploads::lease_time.is_null().or(uploads::lease_time.le(now));
    let rows: Vec<Row> = uploads::table
        .filter(uploads::tenant_id.eq(tenant))
        .filter(uploads::expire_time.le(now))
        .filter(idle.assume_not_null())
        .order(uploads::expire_time)
        .limit(limit)
        .select(Row::as_select())
        .for_update()
        .skip_locked()
        .load(conn)?;
    remove_all(conn, tenant, rows, now)
}

/// Removes uploads about a subject that is erased. Tells how many: there may be more until that is
/// less than `limit`.
pub(crate) fn remove_of_subject(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<usize> {
    let rows: Vec<Row> = uploads::table
        .filter(uploads::tenant_id.eq(tenant))
        .filter(uploads::subject_id.eq(subject))
        .order(uploads::id)
        .limit(limit)
        .select(Row::as_select())
        .for_update()
        .load(conn)?;
    remove_all(conn, tenant, rows, now)
}

fn remove_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<Row>,
    now: Timestamp,
) -> QueryResult<usize> {
    let count = rows.len();
    for row in rows {
        remove(conn, tenant, &row.try_into()?, now)?;
    }
    Ok(count)
}

fn remove(
    conn: &mut PgConnection,
    tenant: TenantId,
    upload: &Upload,
    now: Timestamp,
) -> QueryResult<()> {
    // What is done belongs to the version. The last segment is put before anybody notes it.
    if upload.done_time.is_none() {
        let (record, version) = (upload.record, upload.version);
        let folder = segments::folder(tenant, record, version, upload.data_key_id);
        object_deletes::insert(conn, tenant, &folder, now)?;
    }
    diesel::delete(uploads::table.find((tenant, upload.id))).execute(conn)?;
    Ok(())
}
