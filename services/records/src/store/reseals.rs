//! Versions of records on their way to another key of their subject.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::records::Sealed;
use super::schema::{record_versions, records, subject_keys};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::subject::SubjectId;

/// A place among the subjects that have old keys: by the epoch in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, QueryableByName)]
#[diesel(table_name = subject_keys)]
pub(crate) struct SubjectPlace {
    /// In which epoch the oldest of the old keys was made.
    pub(crate) made_epoch: i32,
    /// Whose they are.
    pub(crate) subject_id: SubjectId,
}

impl SubjectPlace {
    /// Before every subject.
    pub(crate) const START: Self =
        Self { made_epoch: 0, subject_id: SubjectId::from_uuid(uuid::Uuid::nil()) };
}

/// A place among the versions of a subject's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionPlace {
    /// The record.
    pub(crate) record: RecordId,
    /// Its version.
    pub(crate) number: i64,
}

impl VersionPlace {
    /// Before every version.
    pub(crate) const START: Self =
        Self { record: RecordId::from_uuid(uuid::Uuid::nil()), number: 0 };
}

/// What sealing needs of a version, without its body.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = record_versions)]
pub(crate) struct Version {
    /// The record.
    pub(crate) record_id: RecordId,
    /// Its number.
    #[diesel(column_name = version)]
    pub(crate) number: i64,
    /// Its media type.
    pub(crate) content_type: String,
    /// Bytes of its content.
    pub(crate) size_bytes: i64,
    /// How many segments lie outside; none where the body is in the table.
    pub(crate) segments: Option<i32>,
}

impl Version {
    /// The record as of this version, as far as sealing needs it.
    pub(crate) fn record(&self, subject: SubjectId) -> Record {
        let time = Timestamp::from_micros(0);
        Record {
            id: self.record_id,
            subject,
            kind: String::new(),
            content_type: ContentType::stored(self.content_type.clone()),
            labels: BTreeMap::new(),
            event_time: None,
            version: self.number,
            size: self.size_bytes,
            create_time: time,
            update_time: time,
            revision: 0,
            state: RecordState::Active,
            delete_time: None,
            purge_time: None,
            expire_time: None,
        }
    }
}

/// How many keys of subjects were made in epochs before one.
pub(crate) fn count_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    target: i32,
) -> QueryResult<i64> {
    subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::made_epoch.lt(target))
        .count()
        .get_result(conn)
}

pub(super) const NEXT_SUBJECT: &str = "\
    SELECT made_epoch, subject_id FROM subject_keys \
    WHERE tenant_id = $1 AND made_epoch < $2 AND (made_epoch, subject_id) > ($3, $4) \
    ORDER BY made_epoch, subject_id, generation LIMIT 1";

/// The next subject that has keys made in epochs before `target`.
pub(crate) fn next_subject(
    conn: &mut PgConnection,
    tenant: TenantId,
    target: i32,
    after: SubjectPlace,
) -> QueryResult<Option<SubjectPlace>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        target.into_sql::<Integer>(),
        after.made_epoch.into_sql::<Integer>(),
        after.subject_id.into_sql::<Uuid>(),
    );
    statement(NEXT_SUBJECT, binds).get_result(conn).optional()
}

pub(super) const VERSIONS: &str = "\
    SELECT v.* FROM records r, LATERAL ( \
        SELECT record_id, version, content_type, size_bytes, segments FROM record_versions \
        WHERE tenant_id = $1 AND record_id = r.id AND subject_key_generation < $3 \
            AND data_key IS NOT NULL AND (r.id > $4 OR version > $5) \
        ORDER BY version LIMIT (SELECT $6)) v \
    WHERE r.tenant_id = $1 AND r.subject_id = $2 AND r.id >= $4 \
    ORDER BY r.id, v.version LIMIT (SELECT $6)";

/// Reads at most `limit` versions of a subject's records that are sealed under generations before
/// one, behind a place.
pub(crate) fn versions(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    generation: i32,
    after: VersionPlace,
    limit: usize,
) -> QueryResult<Vec<Version>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        subject.into_sql::<Uuid>(),
        generation.into_sql::<Integer>(),
        after.record.into_sql::<Uuid>(),
        after.number.into_sql::<BigInt>(),
        i64::try_from(limit).unwrap_or(i64::MAX).into_sql::<BigInt>(),
    );
    statement(VERSIONS, binds).load(conn)
}

/// Puts content that is sealed anew in the place of what was; false where that is not there any
/// more as it was.
pub(crate) fn swap(
    conn: &mut PgConnection,
    tenant: TenantId,
    (record, version): (RecordId, i64),
    old: &Sealed,
    new: &Sealed,
) -> QueryResult<bool> {
    let same = record_versions::table
        .find((tenant, record, version))
        .filter(record_versions::data_key_id.eq(old.data_key_id))
        .filter(record_versions::subject_key_generation.eq(old.subject_key_generation))
        .filter(record_versions::data_key.eq(&old.data_key));
    let sealed = (
        record_versions::body.eq(&new.body),
        record_versions::data_key_id.eq(new.data_key_id),
        record_versions::subject_key_generation.eq(new.subject_key_generation),
        record_versions::data_key.eq(&new.data_key),
        record_versions::commitment_salt.eq(&new.commitment_salt),
        record_versions::segments.eq(new.segments),
    );
    Ok(diesel::update(same).set(sealed).execute(conn)? == 1)
}

/// How many versions still need a subject's keys of generations before one. An upload on its way
/// does not: it begins anew once the subject has another key.
pub(crate) fn count_versions(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    generation: i32,
) -> QueryResult<i64> {
    let of = record_versions::tenant_id
        .eq(records::tenant_id)
        .and(record_versions::record_id.eq(records::id));
    records::table
        .inner_join(record_versions::table.on(of))
        .filter(records::tenant_id.eq(tenant))
        .filter(records::subject_id.eq(subject))
        .filter(record_versions::subject_key_generation.lt(generation))
        .filter(record_versions::data_key.is_not_null())
        .count()
        .get_result(conn)
}

/// Deletes a subject's keys of generations before one, and gives how many there were.
pub(crate) fn delete_generations(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    generation: i32,
) -> QueryResult<usize> {
    let old = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::subject_id.eq(subject))
        .filter(subject_keys::generation.lt(generation));
    diesel::delete(old).execute(conn)
}
