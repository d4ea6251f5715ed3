//! `sweeps`: which replica works in the background for a tenant now.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::sweeps;

/// Takes a tenant, or goes on with it: `held` is until when the caller has it. None where another
/// replica has.
pub(crate) fn take(
    conn: &mut PgConnection,
    tenant: TenantId,
    held: Option<Timestamp>,
    now: Timestamp,
    lease: Duration,
) -> QueryResult<Option<Timestamp>> {
    forgetful(conn)?;
    let until = now.plus(lease);
    let free = sweeps::lease_time.le(held.map_or(now, |held| held.max(now)));
    let taken = diesel::update(sweeps::table.find(tenant))
        .filter(free)
        .set(sweeps::lease_time.eq(until))
        .execute(conn)?;
    if taken == 1 {
        return Ok(Some(until));
    }
    let row = (sweeps::tenant_id.eq(tenant), sweeps::lease_time.eq(until));
    let inserted = diesel::insert_into(sweeps::table).values(row).on_conflict_do_nothing();
    Ok((inserted.execute(conn)? == 1).then_some(until))
}

/// Gives a tenant back that the caller has until then.
pub(crate) fn release(
    conn: &mut PgConnection,
    tenant: TenantId,
    held: Timestamp,
    now: Timestamp,
) -> QueryResult<()> {
    forgetful(conn)?;
    diesel::update(sweeps::table.find(tenant))
        .filter(sweeps::lease_time.eq(held))
        .set(sweeps::lease_time.eq(now))
        .execute(conn)?;
    Ok(())
}

/// A lease that a crash forgets is taken again: nobody waits for the disk.
fn forgetful(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute("SET LOCAL synchronous_commit TO off")
}
