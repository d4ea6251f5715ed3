//! What an erasure removes: first the subject's keys, after which nothing opens any more, then all
//! the rest, in batches that can be broken off and repeated at any point.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use shared::changes;
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::super::schema::{record_index, record_labels, records, subject_keys};
use super::super::subjects;
use crate::domain::erasure::Destroyed;
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;

/// Records of one batch, and versions of one statement.
const RECORDS: i64 = 100;
const VERSIONS: i64 = 500;

/// Destroys the keys of a subject: how many there were, and the epochs of the tenant's key that
/// wrapped them first and last.
pub(crate) fn shred(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<(i64, Option<(i32, i32)>)> {
    let keys = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::subject_id.eq(subject));
    let epochs = (subject_keys::first_epoch, subject_keys::tenant_key_epoch);
    let wrapped: Vec<(Option<i32>, i32)> = diesel::delete(keys).returning(epochs).load(conn)?;
    let first = wrapped.iter().map(|(first, now)| first.unwrap_or(*now)).min();
    let last = wrapped.iter().map(|(_, now)| *now).max();
    Ok((i64::try_from(wrapped.len()).unwrap_or(i64::MAX), first.zip(last)))
}

/// What a batch removed.
#[derive(Debug)]
pub(crate) struct Wiped {
    /// How much.
    pub(crate) destroyed: Destroyed,
    /// Behind which record the next batch begins; none where this was the last.
    pub(crate) next: Option<RecordId>,
}

/// Removes bodies, data keys, salts, indexes and labels of some of a subject's records, from the
/// first one behind `after`, and queues their objects. What was removed before counts nothing.
pub(crate) fn wipe_records(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    after: Option<RecordId>,
    now: Timestamp,
) -> QueryResult<Wiped> {
    let ids = subjects::record_ids(conn, tenant, subject, after, RECORDS)?;
    let mut destroyed = Destroyed::default();
    if ids.is_empty() {
        return Ok(Wiped { destroyed, next: None });
    }
    let versions = wipe_versions(conn, tenant, &ids)?;
    destroyed.versions = i64::try_from(versions.len()).unwrap_or(i64::MAX);
    destroyed.objects = versions.iter().filter_map(|one| one.objects).sum();
    queue_objects(conn, tenant, &versions, now)?;
    if destroyed.versions >= VERSIONS {
        // There may be more of these records.
        let next = after.unwrap_or(RecordId::from_uuid(Uuid::nil()));
        return Ok(Wiped { destroyed, next: Some(next) });
    }
    let index = record_index::table
        .filter(record_index::tenant_id.eq(tenant))
        .filter(record_index::record_id.eq_any(&ids));
    destroyed.index_rows = i64::try_from(diesel::delete(index).execute(conn)?).unwrap_or(i64::MAX);
    let labels = record_labels::table
        .filter(record_labels::tenant_id.eq(tenant))
        .filter(record_labels::record_id.eq_any(&ids));
    diesel::delete(labels).execute(conn)?;
    destroyed.records = end_records(conn, tenant, &ids, now)?;
    Ok(Wiped { destroyed, next: ids.last().copied() })
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = SqlUuid)]
    record_id: RecordId,
    /// How many segments lay outside.
    #[diesel(sql_type = diesel::sql_types::Nullable<BigInt>)]
    objects: Option<i64>,
}

/// Removes what opens versions, and their bodies: of at most [`VERSIONS`].
fn wipe_versions(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[RecordId],
) -> QueryResult<Vec<Version>> {
    const WIPE: &str = "\
        , found AS (SELECT record_id, version, segments FROM record_versions \
            WHERE tenant_id = $1 AND record_id = ANY($2) AND data_key IS NOT NULL \
            ORDER BY record_id, version LIMIT $3 FOR UPDATE) \
        UPDATE record_versions v SET body = NULL, data_key = NULL, commitment_salt = NULL, \
            segments = NULL \
        FROM found WHERE v.tenant_id = $1 AND v.record_id = found.record_id \
            AND v.version = found.version \
        RETURNING v.record_id, found.segments::bigint AS objects";
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        ids.into_sql::<Array<SqlUuid>>(),
        VERSIONS.into_sql::<BigInt>(),
    );
    statement(WIPE, binds).load(conn)
}

/// Queues all objects of the records that had some outside.
fn queue_objects(
    conn: &mut PgConnection,
    tenant: TenantId,
    versions: &[Version],
    now: Timestamp,
) -> QueryResult<()> {
    const QUEUE: &str = "\
        INSERT INTO object_deletes (tenant_id, id, path, due_time) \
        SELECT $1, id, path, $4 FROM unnest($2, $3) AS q (id, path)";
    let outside = versions.iter().filter(|one| one.objects.is_some());
    let mut records: Vec<RecordId> = outside.map(|one| one.record_id).collect();
    records.sort_unstable();
    records.dedup();
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = records.iter().map(|_| changes::id(now)).collect();
    let path = |id: &RecordId| format!("bodies/{}/{}", tenant.uuid(), id.uuid());
    let paths: Vec<String> = records.iter().map(path).collect();
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        ids.into_sql::<Array<SqlUuid>>(),
        paths.into_sql::<Array<Text>>(),
        now.into_sql::<Timestamptz>(),
    );
    statement(QUEUE, binds).execute(conn)?;
    Ok(())
}

/// Ends records: what they said of themselves goes as well. Gives how many had not ended before.
fn end_records(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[RecordId],
    now: Timestamp,
) -> QueryResult<i64> {
    let of = records::table
        .filter(records::tenant_id.eq(tenant))
        .filter(records::id.eq_any(ids))
        .filter(records::state.ne(3));
    let none: Option<Timestamp> = None;
    let ended = diesel::update(of)
        .set((
            records::state.eq(3),
            records::purge_time.eq(now),
            records::event_time.eq(none),
            records::expire_time.eq(none),
            records::revision.eq(records::revision + 1),
        ))
        .execute(conn)?;
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}
