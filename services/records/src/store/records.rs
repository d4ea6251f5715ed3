//! The tables of records, their sealed versions and their labels.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::{record_labels, record_versions, records, subjects};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId};
use crate::domain::subject::{SubjectId, SubjectState};

/// The sealed content of a version, and what it takes to open it below the subject's key.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = record_versions)]
pub(crate) struct Sealed {
    /// The sealed content.
    pub(crate) body: Vec<u8>,
    /// The id of the data key.
    pub(crate) data_key_id: Uuid,
    /// Which of the subject's keys wraps what follows.
    pub(crate) subject_key_generation: i32,
    /// The wrapped data key.
    pub(crate) data_key: Vec<u8>,
    /// The wrapped salt of the commitment.
    pub(crate) commitment_salt: Vec<u8>,
    /// The commitment to the content.
    pub(crate) commitment: Vec<u8>,
}

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = records)]
struct RecordRow {
    tenant_id: TenantId,
    id: RecordId,
    subject_id: SubjectId,
    kind: String,
    event_time: Option<Timestamp>,
    version: i64,
    revision: i64,
    create_time: Timestamp,
    update_time: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = record_versions)]
struct VersionRow<'a> {
    tenant_id: TenantId,
    record_id: RecordId,
    version: i64,
    content_type: &'a str,
    size_bytes: i64,
    body: &'a [u8],
    data_key_id: Uuid,
    subject_key_generation: i32,
    data_key: &'a [u8],
    commitment_salt: &'a [u8],
    commitment: &'a [u8],
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
        body: &sealed.body,
        data_key_id: sealed.data_key_id,
        subject_key_generation: sealed.subject_key_generation,
        data_key: &sealed.data_key,
        commitment_salt: &sealed.commitment_salt,
        commitment: &sealed.commitment,
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
    let record = Record {
        id: row.id,
        subject: row.subject_id,
        kind: row.kind,
        content_type: ContentType::stored(content_type),
        labels,
        event_time: row.event_time,
        version: row.version,
        size,
        create_time: row.create_time,
        update_time: row.update_time,
        revision: row.revision,
    };
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
