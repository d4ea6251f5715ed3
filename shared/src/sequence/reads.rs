//! What the readers of events and leaves see of the changes.

use std::ops::Range;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid};

use super::store::{Change, Row};
use crate::changes::first_id;
use crate::db::{Statement, statement};
use crate::ids::TenantId;
use crate::time::Timestamp;

/// Changes that one look for a resource goes through, and how much later than the resource they
/// are at most: a change has the time of the latest thing in it.
const LOCATE_MAX: i64 = 2_000;
const LOCATE_MICROS: i64 = 10_000_000;

/// Where a change is in the log, and how many events it has.
#[derive(Debug, Clone, QueryableByName)]
pub(super) struct Span {
    #[diesel(sql_type = Uuid)]
    pub(super) id: uuid::Uuid,
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = BigInt)]
    pub(super) position: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) count: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(super) create_time: Timestamp,
}

/// The changes that have these positions, in their order.
pub(super) fn spans(
    conn: &mut PgConnection,
    tenant: TenantId,
    positions: &Range<u64>,
    limit: usize,
) -> QueryResult<Vec<Span>> {
    spans_query(tenant, positions, limit).load(conn)
}

fn spans_query(
    tenant: TenantId,
    positions: &Range<u64>,
    limit: usize,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    // The first begins before the range or with it; the others begin within. Apart, because the
    // database then knows how few they are.
    const SELECT: &str = "\
        , found AS ((SELECT * FROM changes WHERE tenant_id = $1 AND position <= $2 \
            ORDER BY position DESC LIMIT 1) \
        UNION ALL (SELECT * FROM changes WHERE tenant_id = $1 AND position > $2 \
            AND position < $3 ORDER BY position LIMIT $4)) \
        SELECT id, kind, position, create_time, \
            (coalesce(cardinality(ids), 0) + coalesce(cardinality(names), 0))::bigint AS count \
        FROM found ORDER BY position";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let binds = (
        tenant.into_sql::<Uuid>(),
        positions.start.cast_signed().into_sql::<BigInt>(),
        positions.end.cast_signed().into_sql::<BigInt>(),
        limit.into_sql::<BigInt>(),
    );
    statement(SELECT, binds)
}

/// Changes with no more than some of their subjects each: from one to another, from 1.
pub(super) fn slices(
    conn: &mut PgConnection,
    tenant: TenantId,
    wanted: &[(&Span, i32, i32)],
) -> QueryResult<Vec<Change>> {
    let rows: Vec<Row> = slices_query(tenant, wanted).load(conn)?;
    Ok(rows.into_iter().map(Change::from).collect())
}

fn slices_query(
    tenant: TenantId,
    wanted: &[(&Span, i32, i32)],
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = "\
        SELECT c.id, c.kind, c.ids[w.first:w.last] AS ids, c.names[w.first:w.last] AS names, \
            NULL::bytea AS leaves, c.data[w.first:w.last] AS data, c.create_time \
        FROM unnest($2, $3, $4, $5) WITH ORDINALITY AS w (id, kind, first, last, place), \
        LATERAL (SELECT * FROM changes WHERE tenant_id = $1 AND id = w.id AND kind = w.kind \
            LIMIT 1) c ORDER BY w.place";
    fn column<T>(wanted: &[(&Span, i32, i32)], value: impl Fn(&(&Span, i32, i32)) -> T) -> Vec<T> {
        wanted.iter().map(value).collect()
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(wanted, |one| one.0.id).into_sql::<Array<Uuid>>(),
        column(wanted, |one| one.0.kind.clone()).into_sql::<Array<Text>>(),
        column(wanted, |one| one.1).into_sql::<Array<Integer>>(),
        column(wanted, |one| one.2).into_sql::<Array<Integer>>(),
    );
    statement(SELECT, binds)
}

#[derive(QueryableByName)]
struct Position {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

/// The position of the first event of a time or later; `None` where there is none.
pub(super) fn first_since(
    conn: &mut PgConnection,
    tenant: TenantId,
    time: Timestamp,
) -> QueryResult<Option<u64>> {
    let row: Option<Position> = first_since_query(tenant, time).get_result(conn).optional()?;
    Ok(row.map(|row| row.position.cast_unsigned()))
}

fn first_since_query(
    tenant: TenantId,
    time: Timestamp,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = "\
        SELECT position FROM changes WHERE tenant_id = $1 AND id >= $2 AND position IS NOT NULL \
        ORDER BY id LIMIT 1";
    statement(SELECT, (tenant.into_sql::<Uuid>(), first_id(time).into_sql::<Uuid>()))
}

/// The position of the first change of a resource that was made at this time or shortly after.
pub(crate) fn located(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
    time: Timestamp,
) -> QueryResult<Option<u64>> {
    let query = located_query(tenant, resource, time);
    let row: Option<Position> = query.get_result(conn).optional()?;
    Ok(row.map(|row| row.position.cast_unsigned()))
}

fn located_query(
    tenant: TenantId,
    resource: &str,
    time: Timestamp,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = "\
        SELECT position + coalesce(array_position(ids, $4), array_position(names, $5), \
            array_position(names, $6)) - 1 AS position \
        FROM (SELECT * FROM changes WHERE tenant_id = $1 AND id >= $2 AND id < $7 \
            ORDER BY id LIMIT $3) c \
        WHERE position IS NOT NULL AND (ids @> ARRAY[$4] OR names && ARRAY[$5, $6]) \
        ORDER BY id LIMIT 1";
    let end = Timestamp::from_micros(time.micros().saturating_add(LOCATE_MICROS));
    let local = resource.split_once('/').map_or(resource, |(_, local)| local);
    let binds = (
        tenant.into_sql::<Uuid>(),
        first_id(time).into_sql::<Uuid>(),
        LOCATE_MAX.into_sql::<BigInt>(),
        uuid::Uuid::try_parse(local).ok().into_sql::<Nullable<Uuid>>(),
        resource.to_owned().into_sql::<Text>(),
        local.to_owned().into_sql::<Text>(),
        first_id(end).into_sql::<Uuid>(),
    );
    statement(SELECT, binds)
}

#[cfg(test)]
mod tests;
