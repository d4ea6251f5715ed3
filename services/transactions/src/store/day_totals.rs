//! `day_totals`: what accounts have got on the days that are not their latest.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Date, Numeric, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Day;

use super::column;
use crate::domain::AccountId;

/// Adds to the totals of days.
pub(crate) fn add(
    conn: &mut PgConnection,
    tenant: TenantId,
    days: &BTreeMap<(AccountId, Day, Day), (Units, Units)>,
) -> QueryResult<()> {
    const ADD: &str = "\
        INSERT INTO day_totals AS d (tenant_id, account_id, booking_date, value_date, debits, \
            credits) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n \
        ON CONFLICT (tenant_id, account_id, booking_date, value_date) DO UPDATE \
            SET debits = d.debits + excluded.debits, credits = d.credits + excluded.credits";
    if days.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = days.iter().collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0.0).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.0.1).into_sql::<Array<Date>>(),
        column(&rows, |row| row.0.2).into_sql::<Array<Date>>(),
        column(&rows, |row| row.1.0).into_sql::<Array<Numeric>>(),
        column(&rows, |row| row.1.1).into_sql::<Array<Numeric>>(),
    );
    statement(ADD, binds).execute(conn)?;
    Ok(())
}
