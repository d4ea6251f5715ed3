//! `audits`: how far the auditor is in each tenant. Whoever takes a slice has it until it is given
//! up, so that one replica at a time audits a tenant.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::audits;

/// A slice that a replica has taken.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = audits)]
pub(crate) struct Taken {
    /// Where it begins, as JSON.
    pub(crate) place: String,
    /// When this round began, and when the last whole one had begun.
    pub(crate) start_time: Timestamp,
    pub(crate) round_time: Option<Timestamp>,
    /// When it is given up: it tells one taker from another.
    pub(crate) due_time: Timestamp,
}

/// Takes the next slice, if it is due; the first one begins at `start`.
pub(crate) fn take(
    conn: &mut PgConnection,
    tenant: TenantId,
    start: &str,
    now: Timestamp,
    lease: Duration,
) -> QueryResult<Option<Taken>> {
    forgetful(conn)?;
    let until = later(now, lease);
    let taken = diesel::update(audits::table.find(tenant))
        .filter(audits::due_time.le(now))
        .set(audits::due_time.eq(until))
        .returning(Taken::as_select())
        .get_result(conn)
        .optional()?;
    if taken.is_some() {
        return Ok(taken);
    }
    diesel::insert_into(audits::table)
        .values((
            audits::tenant_id.eq(tenant),
            audits::due_time.eq(until),
            audits::place.eq(start),
            audits::start_time.eq(now),
        ))
        .on_conflict_do_nothing()
        .returning(Taken::as_select())
        .get_result(conn)
        .optional()
}

/// Writes down where the next slice begins. Whoever was given up writes nothing.
pub(crate) fn settle(
    conn: &mut PgConnection,
    tenant: TenantId,
    taken: &Taken,
    next: &Taken,
    due_time: Timestamp,
) -> QueryResult<()> {
    forgetful(conn)?;
    diesel::update(audits::table.find(tenant))
        .filter(audits::due_time.eq(taken.due_time))
        .set((
            audits::due_time.eq(due_time),
            audits::place.eq(&next.place),
            audits::start_time.eq(next.start_time),
            audits::round_time.eq(next.round_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// A time after another one.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.micros().saturating_add(by))
}

/// A place that a crash forgets is looked at again: nobody waits for the disk.
fn forgetful(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute("SET LOCAL synchronous_commit TO off")
}
