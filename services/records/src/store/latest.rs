//! Lists with the latest first: of all rows of a table, or of those with one value in a column,
//! each along an index of its own.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

/// Later than everything: 9999-12-31.
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    create_time: Timestamp,
    id: Uuid,
}

impl Place {
    /// The place of what was created then and has this id.
    pub(crate) fn new(create_time: Timestamp, id: Uuid) -> Self {
        Self { create_time, id }
    }
}

/// The statement of a list. The limit is a query, so that the planner does not know it: it would
/// else sort what it takes for a few rows. Rows with one value in a column are asked for in terms
/// that no other index serves.
macro_rules! latest {
    ($table:literal) => {
        concat!(
            "SELECT * FROM ",
            $table,
            " WHERE tenant_id = $1 AND (create_time, id) < ($2, $3) \
             ORDER BY create_time DESC, id DESC LIMIT (SELECT $4)"
        )
    };
    ($table:literal, $column:literal) => {
        concat!(
            "SELECT * FROM ",
            $table,
            " WHERE tenant_id = $1 AND (",
            $column,
            ", create_time, id) < ($5, $2, $3) AND (",
            $column,
            ", create_time, id) > ($5, '-infinity', '00000000-0000-0000-0000-000000000000') \
             ORDER BY ",
            $column,
            " DESC, create_time DESC, id DESC LIMIT (SELECT $4)"
        )
    };
}
pub(super) use latest;

/// Reads at most `limit` rows behind a place, by `latest!(table)`.
pub(super) fn all<R>(
    conn: &mut PgConnection,
    select: &'static str,
    tenant: TenantId,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<R>>
where
    R: QueryableByName<Pg> + 'static,
{
    let (time, id) = from(after);
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        time.into_sql::<Timestamptz>(),
        id.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
    );
    statement(select, binds).load(conn)
}

/// Reads at most `limit` rows with a value behind a place, by `latest!(table, column)`.
pub(super) fn of<R>(
    conn: &mut PgConnection,
    select: &'static str,
    tenant: TenantId,
    value: Uuid,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<R>>
where
    R: QueryableByName<Pg> + 'static,
{
    let (time, id) = from(after);
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        time.into_sql::<Timestamptz>(),
        id.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
        value.into_sql::<SqlUuid>(),
    );
    statement(select, binds).load(conn)
}

fn from(after: Option<&Place>) -> (Timestamp, Uuid) {
    after.map_or((LATEST, Uuid::max()), |place| (place.create_time, place.id))
}
