//! The versions of single records.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::records::Sealed;
use super::schema::record_versions;
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId};
use crate::domain::record_version::RecordVersion;

#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = record_versions)]
struct Row {
    record_id: RecordId,
    version: i64,
    content_type: String,
    size_bytes: i64,
    create_time: Timestamp,
}

impl From<Row> for RecordVersion {
    fn from(row: Row) -> Self {
        Self {
            record: row.record_id,
            version: row.version,
            content_type: ContentType::stored(row.content_type),
            size: row.size_bytes,
            create_time: row.create_time,
        }
    }
}

/// Inserts the next version of a record.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    sealed: &Sealed,
) -> QueryResult<()> {
    use record_versions as table;
    diesel::insert_into(table::table)
        .values((
            table::tenant_id.eq(tenant),
            table::record_id.eq(record.id),
            table::version.eq(record.version),
            table::content_type.eq(record.content_type.as_str()),
            table::size_bytes.eq(record.size),
            table::body.eq(sealed.body.as_deref()),
            table::data_key_id.eq(sealed.data_key_id),
            table::subject_key_generation.eq(sealed.subject_key_generation),
            table::data_key.eq(sealed.data_key.as_deref()),
            table::commitment_salt.eq(sealed.commitment_salt.as_deref()),
            table::commitment.eq(&sealed.commitment),
            table::segments.eq(sealed.segments),
            table::create_time.eq(record.update_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Reads at most `limit` versions of a record before one, the latest first.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: RecordId,
    before: i64,
    limit: i64,
) -> QueryResult<Vec<RecordVersion>> {
    // The limit is a query, so that the planner does not know it.
    const READ: &str = "\
        SELECT record_id, version, content_type, size_bytes, create_time FROM record_versions \
        WHERE tenant_id = $1 AND record_id = $2 AND version < $3 \
        ORDER BY version DESC LIMIT (SELECT $4)";
    let binds = (
        tenant.into_sql::<Uuid>(),
        record.into_sql::<Uuid>(),
        before.into_sql::<BigInt>(),
        limit.into_sql::<BigInt>(),
    );
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// A record as of a version; none where it has no such version.
pub(crate) fn as_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: Record,
    version: i64,
) -> QueryResult<Option<Record>> {
    let found = record_versions::table.find((tenant, record.id, version)).select(Row::as_select());
    let found: Option<Row> = found.first(conn).optional()?;
    Ok(found.map(|row| Record {
        version: row.version,
        content_type: ContentType::stored(row.content_type),
        size: row.size_bytes,
        update_time: row.create_time,
        ..record
    }))
}
