//! `periods`: who closed and opened which months, and when. `calendars` says how they stand.

use diesel::prelude::*;
use diesel::sql_types::{Date, SmallInt, Text, Timestamptz, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::{Day, Timestamp};

use super::schema::periods;
use crate::domain::{Month, PeriodState};

/// Who changed a month last, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) time: Timestamp,
    pub(crate) principal: String,
}

fn state_column(state: PeriodState) -> i16 {
    match state {
        PeriodState::Open => 1,
        PeriodState::SoftClosed => 2,
        PeriodState::Closed => 3,
    }
}

/// Records the state that somebody left months in: those from `first` to `last`, and the earlier
/// ones that were less closed so far.
pub(crate) fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (Month, Month),
    state: PeriodState,
    changed: &Changed,
) -> QueryResult<()> {
    const RECORD: &str = "\
        INSERT INTO periods (tenant_id, month, state, update_time, principal) \
        SELECT $1, n.month, $4, $5, $6 FROM ( \
            SELECT month FROM periods WHERE tenant_id = $1 AND month <= $3 AND state < $4 \
            UNION \
            SELECT generate_series($2::timestamp, $3::timestamp, '1 month')::date) n \
        ON CONFLICT (tenant_id, month) DO UPDATE SET state = excluded.state, \
            update_time = excluded.update_time, principal = excluded.principal";
    let binds = (
        tenant.into_sql::<Uuid>(),
        first.first().into_sql::<Date>(),
        last.first().into_sql::<Date>(),
        state_column(state).into_sql::<SmallInt>(),
        changed.time.into_sql::<Timestamptz>(),
        changed.principal.clone().into_sql::<Text>(),
    );
    statement(RECORD, binds).execute(conn)?;
    Ok(())
}

/// The first month that anybody has changed.
pub(crate) fn first(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Option<Month>> {
    let first: Option<Day> = periods::table
        .filter(periods::tenant_id.eq(tenant))
        .select(diesel::dsl::min(periods::month))
        .first(conn)?;
    Ok(first.map(Month::of))
}

/// Reads who changed months from `first` to `last`, the latest first.
pub(crate) fn between(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (Month, Month),
) -> QueryResult<Vec<(Month, Changed)>> {
    let rows: Vec<(Day, Timestamp, String)> = periods::table
        .filter(periods::tenant_id.eq(tenant))
        .filter(periods::month.between(first.first(), last.first()))
        .select((periods::month, periods::update_time, periods::principal))
        .load(conn)?;
    let row = |(month, time, principal)| (Month::of(month), Changed { time, principal });
    Ok(rows.into_iter().map(row).collect())
}
