//! Tokens of the values of indexed fields, as of the last version of each record.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::record_index;
use crate::domain::record::{Record, RecordId};
use crate::seal::Token;

/// What stands in an index for a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexToken {
    /// The index.
    pub(crate) name: String,
    /// The version of the key.
    pub(crate) key_version: i32,
    /// Which rules of fields it was made by.
    pub(crate) rules: i64,
    /// The token.
    pub(crate) token: Token,
}

/// A token as it is stored.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = record_index)]
pub(crate) struct IndexRow {
    /// The record's type.
    pub(crate) kind: String,
    /// The index.
    pub(crate) name: String,
    /// The version of the key.
    pub(crate) key_version: i32,
    /// Which rules of fields it was made by.
    pub(crate) rules: i64,
    /// The token.
    pub(crate) token: Vec<u8>,
}

/// Inserts the tokens of a record that has none.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    tokens: &[IndexToken],
) -> QueryResult<()> {
    let rows: Vec<_> =
        tokens.iter().map(|token| (record.id, record.kind.as_str(), token)).collect();
    insert_all(conn, tenant, &rows)
}

/// Inserts the tokens of records, each with its record and that one's type. A key that has been
/// taken away meanwhile is a violated reference: the tokens are to be made anew.
pub(crate) fn insert_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: &[(RecordId, &str, &IndexToken)],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO record_index (tenant_id, record_id, kind, name, key_version, rules, token) \
        SELECT $1, * FROM unnest($2, $3, $4, $5, $6, $7)";
    fn column<'a, T>(
        rows: &[(RecordId, &'a str, &'a IndexToken)],
        value: impl Fn(&(RecordId, &'a str, &'a IndexToken)) -> T,
    ) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(rows, |row| row.0).into_sql::<Array<Uuid>>(),
        column(rows, |row| row.1).into_sql::<Array<Text>>(),
        column(rows, |row| row.2.name.as_str()).into_sql::<Array<Text>>(),
        column(rows, |row| row.2.key_version).into_sql::<Array<Integer>>(),
        column(rows, |row| row.2.rules).into_sql::<Array<BigInt>>(),
        column(rows, |row| row.2.token.as_bytes()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// Deletes the tokens of a record, and gives how many there were.
pub(crate) fn delete(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: RecordId,
) -> QueryResult<usize> {
    let tokens = record_index::table
        .filter(record_index::tenant_id.eq(tenant))
        .filter(record_index::record_id.eq(record));
    diesel::delete(tokens).execute(conn)
}

/// Reads the tokens of records.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    records: Vec<RecordId>,
) -> QueryResult<Vec<IndexRow>> {
    const READ: &str = "\
        SELECT i.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT kind, name, key_version, rules, token FROM record_index \
            WHERE tenant_id = $1 AND record_id = n.id) i";
    let binds = (tenant.into_sql::<Uuid>(), records.into_sql::<Array<Uuid>>());
    statement(READ, binds).load(conn)
}

/// Finds records of a type by the tokens of one value in an index, each with the version of its
/// key: at most `limit`, by id. Records that are not active, and those of erased subjects, are left
/// out.
pub(crate) fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    (kind, name): (&str, &str),
    tokens: &[(i32, Token)],
    limit: i64,
) -> QueryResult<Vec<RecordId>> {
    // The limit is a query, so that the planner does not know it, and what belongs to a row is
    // looked up by its key: the planner would else walk along all records. The tokens are asked for
    // in terms that the index by key does not serve.
    const FIND: &str = "\
        SELECT DISTINCT f.record_id AS id FROM unnest($4, $5) AS n (version, token), LATERAL ( \
            SELECT i.record_id FROM record_index i, LATERAL ( \
                SELECT subject_id FROM records \
                WHERE tenant_id = $1 AND id = i.record_id AND state = 1 LIMIT 1) r, LATERAL ( \
                SELECT id FROM subjects \
                WHERE tenant_id = $1 AND id = r.subject_id AND state <> 3 LIMIT 1) s \
            WHERE i.tenant_id = $1 \
                AND (i.kind, i.name, i.key_version, i.token, i.record_id) \
                    >= ($2, $3, n.version, n.token, $7) \
                AND (i.kind, i.name, i.key_version, i.token, i.record_id) \
                    <= ($2, $3, n.version, n.token, $8) \
            ORDER BY i.kind, i.name, i.key_version, i.token, i.record_id LIMIT (SELECT $6)) f \
        ORDER BY f.record_id LIMIT $6";
    #[derive(QueryableByName)]
    #[diesel(table_name = crate::store::schema::records)]
    struct Found {
        id: RecordId,
    }
    let versions: Vec<i32> = tokens.iter().map(|(version, _)| *version).collect();
    let values: Vec<&[u8]> = tokens.iter().map(|(_, token)| token.as_bytes()).collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        kind.into_sql::<Text>(),
        name.into_sql::<Text>(),
        versions.into_sql::<Array<Integer>>(),
        values.into_sql::<Array<Binary>>(),
        limit.into_sql::<BigInt>(),
        uuid::Uuid::nil().into_sql::<Uuid>(),
        uuid::Uuid::max().into_sql::<Uuid>(),
    );
    let found: Vec<Found> = statement(FIND, binds).load(conn)?;
    Ok(found.into_iter().map(|row| row.id).collect())
}
