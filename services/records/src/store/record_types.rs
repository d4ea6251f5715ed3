//! The table of record types.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::record_types;
use crate::domain::content_type::ContentType;
use crate::domain::record_type::{RecordType, RetainedFrom, Retention};

#[derive(Debug, Queryable, QueryableByName, Insertable, AsChangeset, Selectable)]
#[diesel(table_name = record_types, treat_none_as_null = true, primary_key(tenant_id, id))]
struct Row {
    tenant_id: TenantId,
    id: String,
    content_type: Option<String>,
    json_schema: Option<String>,
    fields: String,
    retention_days: Option<i32>,
    retention_start: Option<i16>,
    requires_consent: bool,
    revision: i64,
    create_time: Timestamp,
    update_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, kind: &RecordType) -> Result<Self, DbError> {
        let retention = kind.retention;
        Ok(Self {
            tenant_id: tenant,
            id: kind.id.clone(),
            content_type: kind.content_type.as_ref().map(ToString::to_string),
            json_schema: kind.schema.clone(),
            fields: serde_json::to_string(&kind.fields).map_err(|error| unusable(&error))?,
            retention_days: retention.map(|it| i32::try_from(it.days).unwrap_or(i32::MAX)),
            retention_start: retention.map(|it| start(it.from)),
            requires_consent: kind.requires_consent,
            revision: kind.revision,
            create_time: kind.create_time,
            update_time: kind.update_time,
        })
    }

    fn read(self) -> Result<RecordType, DbError> {
        let retention = self.retention_days.zip(self.retention_start);
        let retention = retention.map(|(days, start)| Retention {
            days: u32::try_from(days).unwrap_or(u32::MAX),
            from: match start {
                2 => RetainedFrom::EventTime,
                _ => RetainedFrom::CreateTime,
            },
        });
        Ok(RecordType {
            id: self.id,
            content_type: self.content_type.map(ContentType::stored),
            schema: self.json_schema,
            fields: serde_json::from_str(&self.fields).map_err(|error| unusable(&error))?,
            retention,
            requires_consent: self.requires_consent,
            create_time: self.create_time,
            update_time: self.update_time,
            revision: self.revision,
        })
    }
}

fn start(from: RetainedFrom) -> i16 {
    match from {
        RetainedFrom::CreateTime => 1,
        RetainedFrom::EventTime => 2,
    }
}

fn unusable(error: &serde_json::Error) -> DbError {
    DbError::Fault(format!("the fields of a record type: {error}"))
}

/// Inserts a type; false where the id is taken.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &RecordType,
) -> Result<bool, DbError> {
    let row = Row::new(tenant, kind)?;
    let inserted = diesel::insert_into(record_types::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Replaces a type.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &RecordType,
) -> Result<(), DbError> {
    let row = Row::new(tenant, kind)?;
    diesel::update(record_types::table.find((tenant, &kind.id))).set(row).execute(conn)?;
    Ok(())
}

/// Reads a type.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: &str,
) -> Result<Option<RecordType>, DbError> {
    let row: Option<Row> =
        record_types::table.find((tenant, id)).select(Row::as_select()).first(conn).optional()?;
    row.map(Row::read).transpose()
}

/// Reads a type and keeps others from changing it until the end of the transaction.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: &str,
) -> Result<Option<RecordType>, DbError> {
    let row: Option<Row> = record_types::table
        .find((tenant, id))
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .optional()?;
    row.map(Row::read).transpose()
}

/// The revision of a type.
pub(crate) fn revision(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: &str,
) -> QueryResult<Option<i64>> {
    record_types::table.find((tenant, id)).select(record_types::revision).first(conn).optional()
}

/// A type that may be of a page.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Candidate {
    #[diesel(sql_type = Text)]
    pub(crate) id: String,
    #[diesel(sql_type = Nullable<Integer>)]
    schema_bytes: Option<i32>,
    #[diesel(sql_type = Integer)]
    fields_bytes: i32,
}

impl Candidate {
    /// About how many bytes it has in a message.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = i64::from(self.schema_bytes.unwrap_or(0)) + i64::from(self.fields_bytes);
        usize::try_from(bytes).unwrap_or(0)
    }
}

/// Reads candidates by id, behind one.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<Candidate>> {
    const READ: &str = "\
        SELECT id, octet_length(json_schema) AS schema_bytes, \
            octet_length(fields) AS fields_bytes \
        FROM record_types WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT (SELECT $3)";
    let binds = (tenant.into_sql::<Uuid>(), after.into_sql::<Text>(), limit.into_sql::<BigInt>());
    statement(READ, binds).load(conn)
}

/// Reads types, in the order of their ids.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<&str>,
) -> Result<Vec<RecordType>, DbError> {
    const READ: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT tenant_id, id, content_type, json_schema, fields, retention_days, \
                retention_start, requires_consent, revision, create_time, update_time \
            FROM record_types WHERE tenant_id = $1 AND id = n.id LIMIT 1) t ORDER BY t.id";
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Text>>());
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    rows.into_iter().map(Row::read).collect()
}
