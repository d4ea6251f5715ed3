//! Balances as of a day or a time, on one axis. They need the totals of days and the entries of one
//! day, never the whole history.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Timestamptz, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::{Day, Timestamp};

use super::entries;
use crate::domain::{AccountId, LedgerAccount};

/// What is posted on both sides of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(crate) struct Sides {
    #[diesel(sql_type = Numeric)]
    pub(crate) debits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) credits: Units,
}

/// What an account had after its last entry by some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(crate) struct After {
    #[diesel(sql_type = Numeric)]
    pub(crate) posted: Units,
    #[diesel(sql_type = Nullable<Numeric>)]
    pub(crate) available: Option<Units>,
    #[diesel(sql_type = BigInt)]
    pub(crate) entry_seq: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) version: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) record_time: Timestamp,
}

// The latest day of an account stands in its own row, which the same snapshot has.

const BOOKED: &str = "\
    SELECT coalesce(sum(debits), 0) AS debits, coalesce(sum(credits), 0) AS credits FROM ( \
        SELECT debits, credits FROM day_totals \
        WHERE tenant_id = $1 AND account_id = $2 AND booking_date <= $3 \
        UNION ALL \
        SELECT day_debits, day_credits FROM ledger_accounts \
        WHERE tenant_id = $1 AND id = $2 AND day <= $3) d";

/// What was booked up to the end of a day.
pub(crate) fn booked(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    day: Day,
) -> QueryResult<Sides> {
    let binds = (tenant.into_sql::<Uuid>(), account.into_sql::<Uuid>(), day.into_sql::<Date>());
    statement(BOOKED, binds).get_result(conn)
}

/// The totals of the value dates before the day, and of the entries of that day: those that name it
/// as their value date; those that are booked on it with the same value date, whenever they were
/// posted; and those that were posted on it, which lie in a range of places.
const EFFECTIVE: &str = "\
    SELECT coalesce(sum(debits), 0) AS debits, coalesce(sum(credits), 0) AS credits FROM ( \
        SELECT debits, credits FROM day_totals \
        WHERE tenant_id = $1 AND account_id = $2 AND value_date < $3 \
        UNION ALL \
        SELECT day_debits, day_credits FROM ledger_accounts \
        WHERE tenant_id = $1 AND id = $2 AND day < $3 \
        UNION ALL \
        SELECT CASE e.direction WHEN 1 THEN e.amount ELSE 0 END, \
            CASE e.direction WHEN 2 THEN e.amount ELSE 0 END \
        FROM ( \
            SELECT transaction_id, direction, amount FROM entries \
            WHERE tenant_id = $1 AND account_id = $2 AND value_date = $3 \
            UNION ALL \
            SELECT transaction_id, direction, amount FROM entries \
            WHERE tenant_id = $1 AND account_id = $2 AND booking_date = $3 \
                AND value_date IS NULL \
            UNION ALL \
            SELECT n.transaction_id, n.direction, n.amount FROM ( \
                SELECT transaction_id, direction, amount, value_date, booking_date FROM entries \
                WHERE tenant_id = $1 AND account_id = $2 AND entry_seq >= $5 AND entry_seq < $6 \
                OFFSET 0) n, \
            LATERAL (SELECT FROM transactions WHERE tenant_id = $1 AND id = n.transaction_id \
                AND booking_date = $3 LIMIT 1) t \
            WHERE n.value_date IS NULL AND n.booking_date IS NULL) e, \
        LATERAL (SELECT FROM transactions WHERE tenant_id = $1 AND id = e.transaction_id \
            AND effective_time <= $4 LIMIT 1) t) d";

/// What has taken effect at a time, which lies on this day.
pub(crate) fn effective(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
    day: Day,
    time: Timestamp,
) -> QueryResult<Sides> {
    let (id, count) = (account.id, account.entry_seq);
    let (first, end) = entries::posted_on(conn, tenant, id, count, (day, day))?;
    let binds = (
        tenant.into_sql::<Uuid>(),
        id.into_sql::<Uuid>(),
        day.into_sql::<Date>(),
        time.into_sql::<Timestamptz>(),
        first.into_sql::<BigInt>(),
        end.into_sql::<BigInt>(),
    );
    statement(EFFECTIVE, binds).get_result(conn)
}

/// What an account had at a time, by what had been posted then; `None` before its first entry.
pub(crate) fn recorded(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
    time: Timestamp,
) -> QueryResult<Option<After>> {
    const AFTER: &str = "\
        SELECT e.*, t.* FROM ( \
            SELECT transaction_id, posted_after AS posted, available_after AS available, \
                entry_seq, version_after AS version \
            FROM entries WHERE tenant_id = $1 AND account_id = $2 AND entry_seq = $3 LIMIT 1) e, \
        LATERAL (SELECT record_time FROM transactions \
            WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) t";
    let count = account.entry_seq;
    let place = entries::first_from(conn, tenant, account.id, count, time.next())? - 1;
    let binds =
        (tenant.into_sql::<Uuid>(), account.id.into_sql::<Uuid>(), place.into_sql::<BigInt>());
    statement(AFTER, binds).get_result(conn).optional()
}
