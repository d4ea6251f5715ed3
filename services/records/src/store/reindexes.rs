//! Index rows on their way to another version of their key.

use diesel::dsl::count;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::{index_keys, record_index, records};
use crate::domain::record::RecordId;

#[derive(QueryableByName)]
#[diesel(table_name = records)]
struct Found {
    id: RecordId,
}

/// How many records there are of some types.
pub(crate) fn count_records(
    conn: &mut PgConnection,
    tenant: TenantId,
    kinds: &[String],
) -> QueryResult<i64> {
    records::table
        .filter(records::tenant_id.eq(tenant))
        .filter(records::kind.eq_any(kinds))
        .count()
        .get_result(conn)
}

pub(super) const OF_KIND: &str = "\
    SELECT id FROM records WHERE tenant_id = $1 AND kind = $2 AND id > $3 \
    ORDER BY id LIMIT (SELECT $4)";

/// Reads at most `limit` records of a type behind one, in the order of their ids.
pub(crate) fn records_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    after: RecordId,
    limit: i64,
) -> QueryResult<Vec<RecordId>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        kind.into_sql::<Text>(),
        after.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let found: Vec<Found> = statement(OF_KIND, binds).load(conn)?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

pub(super) const UNDER_VERSION: &str = "\
    SELECT DISTINCT record_id AS id FROM record_index \
    WHERE tenant_id = $1 AND key_version = $2 AND record_id > $3 \
    ORDER BY record_id LIMIT (SELECT $4)";

/// Reads at most `limit` records that have rows of a version of the key, behind one, in the order
/// of their ids.
pub(crate) fn records_under(
    conn: &mut PgConnection,
    tenant: TenantId,
    version: i32,
    after: RecordId,
    limit: i64,
) -> QueryResult<Vec<RecordId>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        version.into_sql::<Integer>(),
        after.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let found: Vec<Found> = statement(UNDER_VERSION, binds).load(conn)?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

/// Deletes a version of the key if no row is left under it, and gives of how many records there
/// are some. It waits for those who write such rows; who comes later is refused.
pub(crate) fn delete_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    version: i32,
) -> QueryResult<i64> {
    let key = index_keys::table.find((tenant, version));
    key.select(index_keys::version).for_update().first::<i32>(conn).optional()?;
    let left: i64 = record_index::table
        .filter(record_index::tenant_id.eq(tenant))
        .filter(record_index::key_version.eq(version))
        .select(count(record_index::record_id).aggregate_distinct())
        .get_result(conn)?;
    if left == 0 {
        diesel::delete(key).execute(conn)?;
    }
    Ok(left)
}
