//! The changes and the sizes of the logs, as the sequencer and the readers of events see them.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid};

use crate::changes::{Subjects, first_id};
use crate::db::{DbError, statement};
use crate::ids::TenantId;
use crate::time::Timestamp;
use crate::transparency::tree::Tiles;

/// Changes that one look for a resource goes through.
const LOCATE_MAX: i64 = 2_000;

/// What one commit did of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) id: uuid::Uuid,
    pub(crate) kind: String,
    pub(crate) subjects: Subjects,
    /// The hashes of the leaves, where the writer has made them.
    pub(super) leaves: Option<Vec<u8>>,
    /// The leaves, where no row says them.
    pub(crate) data: Option<Vec<String>>,
    pub(crate) time: Timestamp,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Uuid)]
    id: uuid::Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Array<Uuid>>)]
    ids: Option<Vec<uuid::Uuid>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    names: Option<Vec<String>>,
    #[diesel(sql_type = Nullable<Binary>)]
    leaves: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    data: Option<Vec<String>>,
    #[diesel(sql_type = Timestamptz)]
    create_time: Timestamp,
}

impl From<Row> for Change {
    fn from(row: Row) -> Self {
        let subjects = match (row.ids, row.names) {
            (Some(ids), _) => Subjects::Ids(ids),
            (None, names) => Subjects::Names(names.unwrap_or_default()),
        };
        let (id, kind, leaves, data) = (row.id, row.kind, row.leaves, row.data);
        Self { id, kind, subjects, leaves, data, time: row.create_time }
    }
}

/// Locks a tenant's log and gives its size. `None` where another replica is at it.
pub(super) fn lock(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Option<u64>> {
    const LOCK: &str = "SELECT size FROM logs WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED";
    const CREATE: &str = "INSERT INTO logs (tenant_id, size) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    #[derive(QueryableByName)]
    struct Size {
        #[diesel(sql_type = BigInt)]
        size: i64,
    }
    let binds = || (tenant.into_sql::<Uuid>(),);
    let found: Option<Size> = statement(LOCK, binds()).get_result(conn).optional()?;
    if let Some(found) = found {
        return Ok(Some(found.size.cast_unsigned()));
    }
    // The first time there is no row to lock, and who inserts it has it locked.
    let is_first = statement(CREATE, binds()).execute(conn)? == 1;
    Ok(is_first.then_some(0))
}

/// Changes without a position, in the order of their ids.
pub(super) fn unsequenced(
    conn: &mut PgConnection,
    tenant: TenantId,
    limit: i64,
) -> QueryResult<Vec<Change>> {
    const SELECT: &str = "\
        SELECT id, kind, ids, names, leaves, data, create_time FROM changes \
        WHERE tenant_id = $1 AND position IS NULL ORDER BY id LIMIT $2";
    let binds = (tenant.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let rows: Vec<Row> = statement(SELECT, binds).load(conn)?;
    Ok(rows.into_iter().map(Change::from).collect())
}

/// Gives changes their positions, writes the tiles of the tree, and the size of the log.
pub(super) fn advance(
    conn: &mut PgConnection,
    tenant: TenantId,
    size: u64,
    changes: &[(&Change, u64)],
    tiles: &Tiles,
) -> Result<(), DbError> {
    const ADVANCE: &str = "\
        , tiles AS (INSERT INTO log_tiles (tenant_id, level, index, hashes) \
            SELECT $1, * FROM unnest($3, $4, $5) \
            ON CONFLICT (tenant_id, level, index) DO UPDATE SET hashes = excluded.hashes), \
        grown AS (UPDATE logs SET size = $2 WHERE tenant_id = $1) \
        UPDATE changes c SET position = n.position, leaves = NULL \
        FROM unnest($6, $7, $8) AS n (id, kind, position) \
        WHERE c.tenant_id = $1 AND c.id = n.id AND c.kind = n.kind AND c.position IS NULL";
    fn column<S, T>(from: impl Iterator<Item = S>, value: impl Fn(S) -> T) -> Vec<T> {
        from.map(value).collect()
    }
    let t = || tiles.iter();
    let c = || changes.iter();
    let binds = (
        tenant.into_sql::<Uuid>(),
        size.cast_signed().into_sql::<BigInt>(),
        column(t(), |tile| i16::from(tile.0.0)).into_sql::<Array<SmallInt>>(),
        column(t(), |tile| tile.0.1.cast_signed()).into_sql::<Array<BigInt>>(),
        column(t(), |tile| tile.1.as_slice()).into_sql::<Array<Binary>>(),
        column(c(), |change| change.0.id).into_sql::<Array<Uuid>>(),
        column(c(), |change| change.0.kind.as_str()).into_sql::<Array<Text>>(),
        column(c(), |change| change.1.cast_signed()).into_sql::<Array<BigInt>>(),
    );
    // Each is there and has no position, because the log is locked.
    match statement(ADVANCE, binds).execute(conn)? == changes.len() {
        true => Ok(()),
        false => Err(DbError::Fault("a change was sequenced by somebody else".to_owned())),
    }
}

/// Tenants behind this one, by id.
pub(super) fn tenants(
    conn: &mut PgConnection,
    behind: Option<TenantId>,
    limit: i64,
) -> QueryResult<Vec<TenantId>> {
    const SELECT: &str = "SELECT id FROM tenants WHERE id > $1 ORDER BY id LIMIT $2";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Uuid)]
        id: TenantId,
    }
    let behind = behind.unwrap_or(TenantId::from_uuid(uuid::Uuid::nil()));
    let binds = (behind.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let rows: Vec<Row> = statement(SELECT, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// What is left to do for a tenant.
#[derive(QueryableByName)]
pub(super) struct Left {
    /// Changes have no position.
    #[diesel(sql_type = Bool)]
    pub(super) unsequenced: bool,
    /// The log has grown since it was signed.
    #[diesel(sql_type = Bool)]
    pub(super) unsigned: bool,
}

/// What is left to do for a tenant.
pub(super) fn left(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Left> {
    const SELECT: &str = "\
        SELECT EXISTS (SELECT FROM changes WHERE tenant_id = $1 AND position IS NULL) \
            AS unsequenced, \
        coalesce((SELECT size FROM logs WHERE tenant_id = $1), 0) > \
            coalesce((SELECT max(size) FROM checkpoints WHERE tenant_id = $1), 0) AS unsigned";
    statement(SELECT, (tenant.into_sql::<Uuid>(),)).get_result(conn)
}

/// Where a change is in the log, and how many events it has.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Span {
    #[diesel(sql_type = Uuid)]
    pub(crate) id: uuid::Uuid,
    #[diesel(sql_type = Text)]
    pub(crate) kind: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) position: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) count: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) create_time: Timestamp,
}

/// The changes that have these positions, in their order.
pub(crate) fn spans(
    conn: &mut PgConnection,
    tenant: TenantId,
    positions: std::ops::Range<u64>,
    limit: usize,
) -> QueryResult<Vec<Span>> {
    const SELECT: &str = "\
        SELECT id, kind, position, create_time, \
            (coalesce(cardinality(ids), 0) + coalesce(cardinality(names), 0))::bigint AS count \
        FROM changes WHERE tenant_id = $1 AND position < $3 AND position >= coalesce( \
            (SELECT position FROM changes WHERE tenant_id = $1 AND position <= $2 \
                ORDER BY position DESC LIMIT 1), 0) \
        ORDER BY position LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let binds = (
        tenant.into_sql::<Uuid>(),
        positions.start.cast_signed().into_sql::<BigInt>(),
        positions.end.cast_signed().into_sql::<BigInt>(),
        limit.into_sql::<BigInt>(),
    );
    statement(SELECT, binds).load(conn)
}

/// Changes by their ids and kinds, with no more than the subjects from `first` (from 1) to `last`
/// of each.
pub(crate) fn slices(
    conn: &mut PgConnection,
    tenant: TenantId,
    wanted: &[(&Span, i32, i32)],
) -> QueryResult<Vec<Change>> {
    const SELECT: &str = "\
        SELECT c.id, c.kind, c.ids[w.first:w.last] AS ids, c.names[w.first:w.last] AS names, \
            NULL::bytea AS leaves, c.data[w.first:w.last] AS data, c.create_time \
        FROM unnest($2, $3, $4, $5) WITH ORDINALITY AS w (id, kind, first, last, place), \
        LATERAL (SELECT * FROM changes WHERE tenant_id = $1 AND id = w.id AND kind = w.kind \
            LIMIT 1) c ORDER BY w.place";
    let binds = (
        tenant.into_sql::<Uuid>(),
        wanted.iter().map(|one| one.0.id).collect::<Vec<_>>().into_sql::<Array<Uuid>>(),
        wanted.iter().map(|one| &*one.0.kind).collect::<Vec<_>>().into_sql::<Array<Text>>(),
        wanted
            .iter()
            .map(|one| one.1)
            .collect::<Vec<_>>()
            .into_sql::<Array<diesel::sql_types::Integer>>(),
        wanted
            .iter()
            .map(|one| one.2)
            .collect::<Vec<_>>()
            .into_sql::<Array<diesel::sql_types::Integer>>(),
    );
    let rows: Vec<Row> = statement(SELECT, binds).load(conn)?;
    Ok(rows.into_iter().map(Change::from).collect())
}

/// The position of the first event of a time or later; `None` where there is none.
pub(crate) fn first_since(
    conn: &mut PgConnection,
    tenant: TenantId,
    time: Timestamp,
) -> QueryResult<Option<u64>> {
    const SELECT: &str = "\
        SELECT position FROM changes WHERE tenant_id = $1 AND id >= $2 AND position IS NOT NULL \
        ORDER BY id LIMIT 1";
    let binds = (tenant.into_sql::<Uuid>(), first_id(time).into_sql::<Uuid>());
    let row: Option<Position> = statement(SELECT, binds).get_result(conn).optional()?;
    Ok(row.map(|row| row.position.cast_unsigned()))
}

#[derive(QueryableByName)]
struct Position {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

/// The position of the first change of a resource that was made at this time or shortly after.
pub(crate) fn located(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
    time: Timestamp,
) -> QueryResult<Option<u64>> {
    const SELECT: &str = "\
        SELECT position + coalesce(array_position(ids, $4), array_position(names, $5), \
            array_position(names, $6)) - 1 AS position \
        FROM (SELECT * FROM changes WHERE tenant_id = $1 AND id >= $2 ORDER BY id LIMIT $3) c \
        WHERE position IS NOT NULL AND (ids @> ARRAY[$4] OR names && ARRAY[$5, $6]) \
        ORDER BY id LIMIT 1";
    let local = resource.split_once('/').map_or(resource, |(_, local)| local);
    let binds = (
        tenant.into_sql::<Uuid>(),
        first_id(time).into_sql::<Uuid>(),
        LOCATE_MAX.into_sql::<BigInt>(),
        uuid::Uuid::try_parse(local).ok().into_sql::<Nullable<Uuid>>(),
        resource.into_sql::<Text>(),
        local.into_sql::<Text>(),
    );
    let row: Option<Position> = statement(SELECT, binds).get_result(conn).optional()?;
    Ok(row.map(|row| row.position.cast_unsigned()))
}
