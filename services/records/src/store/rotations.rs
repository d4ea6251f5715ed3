//! The table of rotations.

use diesel::prelude::*;
use diesel::sql_types::Uuid;
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::rotations;
use crate::domain::rotation::{KeyScope, Rotation, RotationId, RotationState};

#[derive(Debug, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = rotations)]
struct Row {
    tenant_id: TenantId,
    id: RotationId,
    scope: i16,
    reseal: bool,
    state: i16,
    target: i32,
    total: i64,
    done: i64,
    place: String,
    broken: Vec<String>,
    create_time: Timestamp,
    update_time: Timestamp,
    done_time: Option<Timestamp>,
}

impl Row {
    fn new(tenant: TenantId, rotation: &Rotation) -> Self {
        Self {
            tenant_id: tenant,
            id: rotation.id,
            scope: match rotation.scope {
                KeyScope::Kek => 1,
                KeyScope::TenantKey => 2,
                KeyScope::IndexKey => 3,
            },
            reseal: rotation.reseal,
            state: match rotation.state {
                RotationState::Running => 1,
                RotationState::Done => 2,
                RotationState::Incomplete => 3,
            },
            target: rotation.target,
            total: rotation.total,
            done: rotation.done,
            place: rotation.place.clone(),
            broken: rotation.broken.clone(),
            create_time: rotation.create_time,
            update_time: rotation.update_time,
            done_time: rotation.done_time,
        }
    }
}

impl From<Row> for Rotation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            scope: match row.scope {
                1 => KeyScope::Kek,
                2 => KeyScope::TenantKey,
                _ => KeyScope::IndexKey,
            },
            reseal: row.reseal,
            state: match row.state {
                1 => RotationState::Running,
                2 => RotationState::Done,
                _ => RotationState::Incomplete,
            },
            target: row.target,
            total: row.total,
            done: row.done,
            place: row.place,
            broken: row.broken,
            create_time: row.create_time,
            update_time: row.update_time,
            done_time: row.done_time,
        }
    }
}

/// Inserts a rotation; false where one of its scope runs.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    rotation: &Rotation,
) -> QueryResult<bool> {
    let row = Row::new(tenant, rotation);
    let inserted = diesel::insert_into(rotations::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads a rotation.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RotationId,
) -> QueryResult<Option<Rotation>> {
    let found = rotations::table.find((tenant, id)).select(Row::as_select());
    Ok(found.first(conn).optional()?.map(Rotation::from))
}

// The state as the index has it: a bound value would say nothing of it to a plan for all.
pub(super) const RUNNING: &str = "\
    SELECT tenant_id, id, scope, reseal, state, target, total, done, place, broken, create_time, \
        update_time, done_time \
    FROM rotations WHERE tenant_id = $1 AND state = 1 ORDER BY scope";

/// Reads the rotations that run: at most one of each scope.
pub(crate) fn running(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Vec<Rotation>> {
    let rows: Vec<Row> = statement(RUNNING, (tenant.into_sql::<Uuid>(),)).load(conn)?;
    Ok(rows.into_iter().map(Rotation::from).collect())
}

/// Reads at most `limit` rotations behind a place, the latest in front.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<RotationId>,
    limit: i64,
) -> QueryResult<Vec<Rotation>> {
    let mut found = rotations::table
        .filter(rotations::tenant_id.eq(tenant))
        .order(rotations::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(after) = after {
        found = found.filter(rotations::id.lt(after));
    }
    Ok(found.load(conn)?.into_iter().map(Rotation::from).collect())
}

/// Writes down how far a rotation has come; false where it has moved on without the writer, whose
/// step then must not happen.
pub(crate) fn advance(
    conn: &mut PgConnection,
    tenant: TenantId,
    old: &Rotation,
    new: &Rotation,
) -> QueryResult<bool> {
    let row = Row::new(tenant, new);
    let same = rotations::table
        .find((tenant, old.id))
        .filter(rotations::state.eq(Row::new(tenant, old).state))
        .filter(rotations::update_time.eq(old.update_time));
    let moved = (
        rotations::state.eq(row.state),
        rotations::total.eq(row.total),
        rotations::done.eq(row.done),
        rotations::place.eq(row.place),
        rotations::broken.eq(row.broken),
        rotations::update_time.eq(row.update_time),
        rotations::done_time.eq(row.done_time),
    );
    Ok(diesel::update(same).set(moved).execute(conn)? == 1)
}
