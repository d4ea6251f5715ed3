//! The tables of records, their sealed versions and their labels.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::{record_labels, record_versions, records, subjects};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::subject::{SubjectId, SubjectState};

/// The sealed content of a version, and what it takes to open it below the subject's key.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = record_versions)]
pub(crate) struct Sealed {
    /// The sealed content; none where it lies in segments outside, or is destroyed.
    pub(crate) body: Option<Vec<u8>>,
    /// The id of the data key.
    pub(crate) data_key_id: Uuid,
    /// Which of the subject's keys wraps what follows.
    pub(crate) subject_key_generation: i32,
    /// The wrapped data key; none once it is destroyed.
    pub(crate) data_key: Option<Vec<u8>>,
    /// The wrapped salt of the commitment; none once it is destroyed.
    pub(crate) commitment_salt: Option<Vec<u8>>,
    /// The commitment to the content.
    pub(crate) commitment: Vec<u8>,
    /// How many segments lie outside; none where the body is here.
    pub(crate) segments: Option<i32>,
}

#[derive(Debug, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = records)]
pub(super) struct RecordRow {
    pub(super) tenant_id: TenantId,
    pub(super) id: RecordId,
    pub(super) subject_id: SubjectId,
    kind: String,
    event_time: Option<Timestamp>,
    version: i64,
    revision: i64,
    create_time: Timestamp,
    update_time: Timestamp,
    state: i16,
    delete_time: Option<Timestamp>,
    purge_time: Option<Timestamp>,
    expire_time: Option<Timestamp>,
}

impl RecordRow {
    /// The record as of its last version, whose content is of this type and size.
    pub(super) fn record(
        self,
        content_type: ContentType,
        size: i64,
        labels: BTreeMap<String, String>,
    ) -> Record {
        Record {
            id: self.id,
            subject: self.subject_id,
            kind: self.kind,
            content_type,
            labels,
            event_time: self.event_time,
            version: self.version,
            size,
            create_time: self.create_time,
            update_time: self.update_time,
            revision: self.revision,
            state: from_column(self.state),
            delete_time: self.delete_time,
            purge_time: self.purge_time,
            expire_time: self.expire_time,
        }
    }
}

/// The state as the table has it.
pub(crate) fn column(state: RecordState) -> i16 {
    match state {
        RecordState::Active => 1,
        RecordState::Deleted => 2,
        RecordState::Purged => 3,
    }
}

/// The state that the table has.
pub(crate) fn from_column(column: i16) -> RecordState {
    match column {
        1 => RecordState::Active,
        2 => RecordState::Deleted,
        // What is not known to be there is not.
        _ => RecordState::Purged,
    }
}

#[derive(Insertable)]
#[diesel(table_name = record_versions)]
struct VersionRow<'a> {
    tenant_id: TenantId,
    record_id: RecordId,
    version: i64,
    content_type: &'a str,
    size_bytes: i64,
    body: Option<&'a [u8]>,
    data_key_id: Uuid,
    subject_key_generation: i32,
    data_key: Option<&'a [u8]>,
    commitment_salt: Option<&'a [u8]>,
    commitment: &'a [u8],
    segments: Option<i32>,
    create_time: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = record_labels)]
struct LabelRow<'a> {
    tenant_id: TenantId,
    record_id: RecordId,
    key: &'a str,
    value: &'a str,
}

/// Inserts a record with its first version and its labels; false where the id is taken.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    sealed: &Sealed,
) -> QueryResult<bool> {
    let row = RecordRow {
        tenant_id: tenant,
        id: record.id,
        subject_id: record.subject,
        kind: record.kind.clone(),
        event_time: record.event_time,
        version: record.version,
        revision: record.revision,
        create_time: record.create_time,
        update_time: record.update_time,
        state: column(record.state),
        delete_time: record.delete_time,
        purge_time: record.purge_time,
        expire_time: record.expire_time,
    };
    let inserted = diesel::insert_into(records::table).values(row).on_conflict_do_nothing();
    if inserted.execute(conn)? == 0 {
        return Ok(false);
    }
    insert_version(conn, tenant, record, sealed)?;
    insert_labels(conn, tenant, record)?;
    Ok(true)
}

fn insert_version(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    sealed: &Sealed,
) -> QueryResult<()> {
    let row = VersionRow {
        tenant_id: tenant,
        record_id: record.id,
        version: record.version,
        content_type: record.content_type.as_str(),
        size_bytes: record.size,
        body: sealed.body.as_deref(),
        data_key_id: sealed.data_key_id,
        subject_key_generation: sealed.subject_key_generation,
        data_key: sealed.data_key.as_deref(),
        commitment_salt: sealed.commitment_salt.as_deref(),
        commitment: &sealed.commitment,
        segments: sealed.segments,
        create_time: record.update_time,
    };
    diesel::insert_into(record_versions::table).values(row).execute(conn)?;
    Ok(())
}

fn insert_labels(conn: &mut PgConnection, tenant: TenantId, record: &Record) -> QueryResult<()> {
    if record.labels.is_empty() {
        return Ok(());
    }
    let row = |(key, value)| LabelRow { tenant_id: tenant, record_id: record.id, key, value };
    let labels = record.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let rows: Vec<_> = labels.map(row).collect();
    diesel::insert_into(record_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Whether a record has this id.
pub(crate) fn exists(conn: &mut PgConnection, tenant: TenantId, id: RecordId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(records::table.find((tenant, id)))).get_result(conn)
}

/// Reads a record as of its last version, and the state of its subject.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RecordId,
) -> QueryResult<Option<(Record, SubjectState)>> {
    let last = record_versions::tenant_id
        .eq(records::tenant_id)
        .and(record_versions::record_id.eq(records::id))
        .and(record_versions::version.eq(records::version));
    let whom = subjects::tenant_id.eq(records::tenant_id).and(subjects::id.eq(records::subject_id));
    let found: Option<(RecordRow, String, i64, i16)> = records::table
        .inner_join(record_versions::table.on(last))
        .inner_join(subjects::table.on(whom))
        .filter(records::tenant_id.eq(tenant))
        .filter(records::id.eq(id))
        .select((
            RecordRow::as_select(),
            record_versions::content_type,
            record_versions::size_bytes,
            subjects::state,
        ))
        .first(conn)
        .optional()?;
    let Some((row, content_type, size, state)) = found else {
        return Ok(None);
    };
    let labels = select_labels(conn, tenant, id)?;
    let record = row.record(ContentType::stored(content_type), size, labels);
    Ok(Some((record, super::subjects::from_column(state))))
}

fn select_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RecordId,
) -> QueryResult<BTreeMap<String, String>> {
    let labels = record_labels::table
        .filter(record_labels::tenant_id.eq(tenant))
        .filter(record_labels::record_id.eq(id))
        .select((record_labels::key, record_labels::value))
        .load::<(String, String)>(conn)?;
    Ok(labels.into_iter().collect())
}

/// Reads the sealed content of a version.
pub(crate) fn select_sealed(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RecordId,
    version: i64,
) -> QueryResult<Option<Sealed>> {
    record_versions::table
        .find((tenant, id, version))
        .select(Sealed::as_select())
        .first(conn)
        .optional()
}
