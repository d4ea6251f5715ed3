//! `entries`: those of one account, from the latest on. Their places in it have no gaps, so that a
//! range of places is a page.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Integer, Nullable, Text, Timestamptz, Uuid};
use jiff::tz::TimeZone;
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::{Day, Timestamp};

use super::schema::entries;
use super::transactions::direction_from_column;
use crate::domain::{AccountId, Direction, TransactionId};

/// About how many bytes an entry has in a message.
pub(crate) const BYTES: usize = 256;

/// An entry, with the head of its transaction.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = entries)]
pub(crate) struct Listed {
    pub(crate) transaction_id: TransactionId,
    pub(crate) entry_index: i32,
    pub(crate) entry_seq: i64,
    direction: i16,
    pub(crate) amount: Units,
    pub(crate) posted_after: Units,
    pub(crate) available_after: Option<Units>,
    pub(crate) version_after: i64,
    #[diesel(sql_type = Text)]
    pub(crate) kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) group_id: Option<String>,
    #[diesel(sql_type = Integer)]
    pub(crate) entry_count: i32,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) effective_time: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) record_time: Timestamp,
    #[diesel(sql_type = Date)]
    pub(crate) booking_date: Day,
}

impl Listed {
    /// The side of the account.
    pub(crate) fn direction(&self) -> Direction {
        direction_from_column(self.direction)
    }
}

const IN_FRONT: &str = "\
    SELECT e.*, t.* FROM ( \
        SELECT transaction_id, entry_index, entry_seq, direction, amount, posted_after, \
            available_after, version_after \
        FROM entries WHERE tenant_id = $1 AND account_id = $2 AND entry_seq >= $3 \
            AND entry_seq < $4 OFFSET 0) e, \
    LATERAL (SELECT kind, group_id, entry_count, effective_time, record_time, booking_date \
        FROM transactions WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) t \
    ORDER BY e.entry_seq DESC";

/// Reads the entries in front of a place, the latest first: at most `limit` of them, and none from
/// before a time.
pub(crate) fn in_front(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    place: i64,
    from: Option<Timestamp>,
    limit: i64,
) -> QueryResult<Vec<Listed>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        account.into_sql::<Uuid>(),
        place.saturating_sub(limit).into_sql::<BigInt>(),
        place.into_sql::<BigInt>(),
    );
    let mut rows: Vec<Listed> = statement(IN_FRONT, binds).load(conn)?;
    // The times of an account's entries are in the order of their places.
    let is_later = |row: &&Listed| from.is_none_or(|from| row.record_time >= from);
    rows.truncate(rows.iter().take_while(is_later).count());
    Ok(rows)
}

/// The time of an entry is that of its transaction, so a time is looked for by halves: two look-ups
/// for each, and no more than 63 of them.
const FIRST_FROM: &str = "\
    SELECT found.place FROM ( \
        WITH RECURSIVE halves (low, high) AS ( \
            SELECT 1::bigint, $3 + 1 \
            UNION ALL \
            SELECT CASE WHEN is_before THEN half + 1 ELSE low END, \
                CASE WHEN is_before THEN high ELSE half END \
            FROM (SELECT low, high, low + (high - low) / 2 AS half FROM halves \
                  WHERE low < high) h, \
            LATERAL (SELECT transaction_id FROM entries WHERE tenant_id = $1 \
                AND account_id = $2 AND entry_seq = h.half LIMIT 1) e, \
            LATERAL (SELECT record_time < $4 AS is_before FROM transactions \
                WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) t) \
        SELECT low AS place FROM halves WHERE low = high) found";

#[derive(Debug, QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    place: i64,
}

/// The place of the first of an account's `count` entries that is not from before a time; behind
/// the last where there is none.
pub(crate) fn first_from(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    count: i64,
    time: Timestamp,
) -> QueryResult<i64> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        account.into_sql::<Uuid>(),
        count.into_sql::<BigInt>(),
        time.into_sql::<Timestamptz>(),
    );
    let found: Found = statement(FIRST_FROM, binds).get_result(conn)?;
    Ok(found.place)
}

/// How far the civil day of a time may be from its day in UTC, in hours: no zone is further ahead,
/// and none further behind.
const AHEAD_HOURS: i64 = 14;
const BEHIND_HOURS: i64 = 12;
const HOUR_US: i64 = 3_600_000_000;

/// The places of those of an account's `count` entries that may have been posted on these days, in
/// whatever time zone: from the first one to behind the last.
pub(super) fn posted_on(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    count: i64,
    (first, last): (Day, Day),
) -> QueryResult<(i64, i64)> {
    let begin = |day: Day, hours: i64| {
        let micros = day.start_in(&TimeZone::UTC).micros();
        Timestamp::from_micros(micros.saturating_add(hours * HOUR_US))
    };
    let (from, to) = (begin(first, -AHEAD_HOURS), begin(last.next(), BEHIND_HOURS));
    let first = first_from(conn, tenant, account, count, from)?;
    Ok((first, first_from(conn, tenant, account, count, to)?))
}
