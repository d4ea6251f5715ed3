//! The log: changes by position, the hashes of its leaves, and what was signed.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, SmallInt, Text, Uuid};
use shared::changes::Subjects;
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::transparency::Hash;

/// Hashes of a tile.
pub(crate) const WIDTH: i64 = 256;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A change that has its place in the log.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Where the first of its leaves is.
    pub(crate) position: i64,
    pub(crate) kind: String,
    pub(crate) subjects: Subjects,
    /// The leaves as they were recorded, where no row says them.
    pub(crate) data: Option<Vec<String>>,
}

impl Change {
    /// The position behind its last leaf.
    pub(crate) fn end(&self) -> i64 {
        self.position.saturating_add(i64::try_from(self.subjects.len()).unwrap_or(i64::MAX))
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Array<Uuid>>)]
    ids: Option<Vec<uuid::Uuid>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    names: Option<Vec<String>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    data: Option<Vec<String>>,
}

/// Reads the changes from a position on until they have `leaves` leaves together, and at least one.
pub(crate) fn changes(
    conn: &mut PgConnection,
    tenant: TenantId,
    from: i64,
    leaves: i64,
) -> QueryResult<Vec<Change>> {
    // A change has at least one leaf, so a range of positions has no more changes than leaves.
    const READ: &str = "\
        SELECT position, kind, ids, names, data FROM changes \
        WHERE tenant_id = $1 AND position >= $2 AND position < $3 ORDER BY position";
    const NEXT: &str = "\
        SELECT position, kind, ids, names, data FROM changes \
        WHERE tenant_id = $1 AND position >= $2 ORDER BY position LIMIT (SELECT 1)";
    let start = (tenant.into_sql::<Uuid>(), from.into_sql::<BigInt>());
    let binds = (start.0, start.1, from.saturating_add(leaves.max(1)).into_sql::<BigInt>());
    let mut rows: Vec<Row> = statement(READ, binds).load(conn)?;
    if rows.is_empty() {
        let start = (tenant.into_sql::<Uuid>(), from.into_sql::<BigInt>());
        rows = statement(NEXT, start).load(conn)?;
    }
    let change = |row: Row| Change {
        position: row.position,
        kind: row.kind,
        subjects: match row.ids {
            Some(ids) => Subjects::Ids(ids),
            None => Subjects::Names(row.names.unwrap_or_default()),
        },
        data: row.data,
    };
    Ok(rows.into_iter().map(change).collect())
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    size: i64,
}

/// How many leaves the log has.
pub(crate) fn size(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<i64> {
    const READ: &str = "SELECT size FROM logs WHERE tenant_id = $1";
    let row: Option<Size> =
        statement(READ, (tenant.into_sql::<Uuid>(),)).get_result(conn).optional()?;
    Ok(row.map_or(0, |row| row.size))
}

#[derive(QueryableByName)]
struct Tile {
    #[diesel(sql_type = BigInt)]
    index: i64,
    #[diesel(sql_type = Binary)]
    hashes: Vec<u8>,
}

/// The hashes of some tiles of a level, by index. What is not there is left out.
pub(crate) fn tiles(
    conn: &mut PgConnection,
    tenant: TenantId,
    level: i16,
    (first, last): (i64, i64),
) -> QueryResult<BTreeMap<i64, Vec<Hash>>> {
    const READ: &str = "\
        SELECT index, hashes FROM log_tiles \
        WHERE tenant_id = $1 AND level = $2 AND index >= $3 AND index <= $4";
    let binds = (
        tenant.into_sql::<Uuid>(),
        level.into_sql::<SmallInt>(),
        first.into_sql::<BigInt>(),
        last.into_sql::<BigInt>(),
    );
    let rows: Vec<Tile> = statement(READ, binds).load(conn)?;
    let tile = |row: Tile| {
        let hashes = row.hashes.chunks_exact(HASH_BYTES);
        (row.index, hashes.filter_map(|hash| Hash::try_from(hash).ok()).collect())
    };
    Ok(rows.into_iter().map(tile).collect())
}

/// What was signed of the log.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Signed {
    #[diesel(sql_type = BigInt)]
    pub(crate) size: i64,
    #[diesel(sql_type = Binary)]
    pub(crate) root_hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    pub(crate) note: String,
}

/// The checkpoints of the sizes from one to another.
pub(crate) fn checkpoints(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (i64, i64),
) -> Result<Vec<Signed>, DbError> {
    const READ: &str = "\
        SELECT size, root_hash, note FROM checkpoints \
        WHERE tenant_id = $1 AND size >= $2 AND size <= $3 ORDER BY size";
    let binds = (tenant.into_sql::<Uuid>(), first.into_sql::<BigInt>(), last.into_sql::<BigInt>());
    Ok(statement(READ, binds).load(conn)?)
}
