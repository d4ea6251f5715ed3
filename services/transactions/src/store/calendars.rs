//! `calendars`: how far each tenant's books are closed. One row for each, which every posting locks
//! to share, and who closes a period to change.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Day;

use super::schema::calendars;
use crate::domain::Closings;

type Columns = (Option<Day>, Option<Day>);

fn closings((closed_through, soft_closed_through): Columns) -> Closings {
    Closings { closed_through, soft_closed_through }
}

/// Makes the row, where there is none.
pub(crate) fn ensure(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<()> {
    diesel::insert_into(calendars::table)
        .values(calendars::tenant_id.eq(tenant))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}

/// How far the books are closed.
pub(crate) fn select(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Closings> {
    let row = calendars::table
        .find(tenant)
        .select((calendars::closed_through, calendars::soft_closed_through))
        .first(conn)
        .optional()?;
    Ok(row.map(closings).unwrap_or_default())
}

/// The same, to be changed: waits for every posting that has read it, and has later ones wait.
pub(crate) fn lock(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Closings> {
    ensure(conn, tenant)?;
    let row = calendars::table
        .find(tenant)
        .select((calendars::closed_through, calendars::soft_closed_through))
        .for_update()
        .first(conn)?;
    Ok(closings(row))
}

/// Writes what was locked back.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    closings: Closings,
) -> QueryResult<()> {
    diesel::update(calendars::table.find(tenant))
        .set((
            calendars::closed_through.eq(closings.closed_through),
            calendars::soft_closed_through.eq(closings.soft_closed_through),
        ))
        .execute(conn)?;
    Ok(())
}
