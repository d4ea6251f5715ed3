//! What erasures destroy, would destroy and leave, in figures.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::super::schema::{erasures, subject_keys, subjects, tenant_keys, uploads};
use crate::domain::erasure::Destroyed;
use crate::domain::subject::SubjectId;

/// Blocked erasures that are counted at most.
const BLOCKED_MAX: i64 = 10_000;

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    keys: i64,
    #[diesel(sql_type = BigInt)]
    records: i64,
    #[diesel(sql_type = BigInt)]
    versions: i64,
    #[diesel(sql_type = BigInt)]
    index_rows: i64,
    #[diesel(sql_type = BigInt)]
    objects: i64,
    #[diesel(sql_type = BigInt)]
    uploads: i64,
}

/// How much an erasure of a subject would destroy now.
pub(crate) fn counts(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<Destroyed> {
    const COUNT: &str = "\
        SELECT (SELECT count(*) FROM subject_keys \
                WHERE tenant_id = $1 AND subject_id = $2) AS keys, \
            (SELECT count(*) FROM uploads \
             WHERE tenant_id = $1 AND subject_id = $2 AND data_key IS NOT NULL) AS uploads, \
            count(*) FILTER (WHERE r.state <> 3) AS records, \
            coalesce(sum(v.versions), 0)::bigint AS versions, \
            coalesce(sum(v.objects), 0)::bigint AS objects, \
            coalesce(sum(i.index_rows), 0)::bigint AS index_rows \
        FROM records r, \
        LATERAL (SELECT count(*) AS versions, sum(segments) AS objects FROM record_versions \
            WHERE tenant_id = $1 AND record_id = r.id AND data_key IS NOT NULL) v, \
        LATERAL (SELECT count(*) AS index_rows FROM record_index \
            WHERE tenant_id = $1 AND record_id = r.id) i \
        WHERE r.tenant_id = $1 AND r.subject_id = $2";
    let binds = (tenant.into_sql::<SqlUuid>(), subject.into_sql::<SqlUuid>());
    let of: Counts = statement(COUNT, binds).get_result(conn)?;
    Ok(Destroyed {
        keys: of.keys,
        records: of.records,
        versions: of.versions,
        index_rows: of.index_rows,
        objects: of.objects,
        uploads: of.uploads,
    })
}

/// Whether a subject is erased and has no key.
pub(crate) fn is_erased(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<bool> {
    let erased = subjects::table.find((tenant, subject)).filter(subjects::state.eq(3));
    let keys = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::subject_id.eq(subject));
    let no_key = not(exists(keys));
    diesel::select(exists(erased).and(no_key)).get_result(conn)
}

/// How many of a subject's uploads are not complete.
pub(crate) fn open_uploads(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<i64> {
    uploads::table
        .filter(uploads::tenant_id.eq(tenant))
        .filter(uploads::subject_id.eq(subject))
        .filter(uploads::data_key.is_not_null())
        .count()
        .get_result(conn)
}

/// The first epoch under which a backup may hold a key of a subject that was created then: the
/// oldest that was in use at that time or later.
pub(crate) fn first_epoch(
    conn: &mut PgConnection,
    tenant: TenantId,
    create_time: Timestamp,
) -> QueryResult<Option<i32>> {
    tenant_keys::table
        .filter(tenant_keys::tenant_id.eq(tenant))
        .filter(tenant_keys::retire_time.is_null().or(tenant_keys::retire_time.ge(create_time)))
        .order(tenant_keys::epoch)
        .select(tenant_keys::epoch)
        .first(conn)
        .optional()
}

/// Some epochs of the tenant's key, and when each was destroyed.
pub(crate) fn epochs(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (i32, i32),
) -> QueryResult<Vec<(i32, Option<Timestamp>)>> {
    tenant_keys::table
        .filter(tenant_keys::tenant_id.eq(tenant))
        .filter(tenant_keys::epoch.between(first, last))
        .order(tenant_keys::epoch)
        .select((tenant_keys::epoch, tenant_keys::destroy_time))
        .load(conn)
}

/// How many erasures are blocked: no more than [`BLOCKED_MAX`] are counted.
pub(crate) fn blocked_count(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<i64> {
    let blocked: Vec<i16> = erasures::table
        .filter(erasures::tenant_id.eq(tenant))
        .filter(erasures::state.eq(diesel::dsl::sql("2")))
        .select(erasures::state)
        .limit(BLOCKED_MAX)
        .load(conn)?;
    Ok(i64::try_from(blocked.len()).unwrap_or(i64::MAX))
}
