//! Timelines: which history a database is in. A restore to an earlier state begins a new one, so
//! that what was given out on the old one - cursors, checkpoints, versions - is not taken for its
//! own.

use diesel::prelude::*;
use diesel::sql_types::{Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{DbError, statement};
use crate::time::Timestamp;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The timeline in force.
pub fn current(conn: &mut PgConnection) -> Result<Uuid, DbError> {
    find(conn)?.ok_or_else(|| DbError::Fault("there is no timeline: run `migrate`".to_owned()))
}

/// Begins the first timeline where there is none, as the owner.
pub(crate) fn ensure(conn: &mut PgConnection) -> QueryResult<()> {
    match find(conn)? {
        Some(_) => Ok(()),
        None => begin(conn).map(|_| ()),
    }
}

/// Begins a timeline, as the owner. It is in force for whoever starts from now on.
pub(crate) fn begin(conn: &mut PgConnection) -> QueryResult<Uuid> {
    const INSERT: &str = "INSERT INTO timelines (id, create_time) VALUES ($1, $2)";
    let now = Clock::system().now();
    let id = after(find(conn)?, now);
    let binds = (id.into_sql::<SqlUuid>(), now.into_sql::<Timestamptz>());
    statement(INSERT, binds).execute(conn)?;
    Ok(id)
}

fn find(conn: &mut PgConnection) -> QueryResult<Option<Uuid>> {
    let select = "SELECT id FROM timelines ORDER BY id DESC LIMIT 1";
    diesel::sql_query(select).get_result(conn).optional().map(|row| row.map(|row: Row| row.id))
}

/// A UUIDv7 that sorts behind another, whatever the clock says.
fn after(latest: Option<Uuid>, now: Timestamp) -> Uuid {
    let now = u64::try_from(now.micros() / 1_000).unwrap_or(0);
    let latest = latest.map_or(0, |id| u64::try_from(id.as_u128() >> 80).unwrap_or(0));
    let random: [u8; 10] = rand::random();
    uuid::Builder::from_unix_timestamp_millis(now.max(latest + 1), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_timeline_sorts_later_though_the_clock_goes_back() {
        let first = after(None, Timestamp::from_micros(1_795_338_000_000_000));
        let second = after(Some(first), Timestamp::from_micros(1));
        let third = after(Some(second), Timestamp::from_micros(2));
        assert!(first < second && second < third);
    }
}
