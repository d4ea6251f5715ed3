//! The changes and the sizes of the logs, as the sequencer sees them.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid};

use crate::changes::Subjects;
use crate::db::{DbError, Statement, statement};
use crate::ids::TenantId;
use crate::time::Timestamp;
use crate::transparency::tree::Tiles;

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
pub(super) struct Row {
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
    let rows: Vec<Row> = unsequenced_query(tenant, limit).load(conn)?;
    Ok(rows.into_iter().map(Change::from).collect())
}

pub(super) fn unsequenced_query(
    tenant: TenantId,
    limit: i64,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = "\
        SELECT id, kind, ids, names, leaves, data, create_time FROM changes \
        WHERE tenant_id = $1 AND position IS NULL ORDER BY id LIMIT $2";
    statement(SELECT, (tenant.into_sql::<Uuid>(), limit.into_sql::<BigInt>()))
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
