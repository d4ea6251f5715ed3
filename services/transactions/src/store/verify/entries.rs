//! Entries by account, in the order of their places.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Nullable, Numeric, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Day;

use crate::domain::AccountId;
use crate::store::column;

/// Entries of one account that follow each other, either those that have days of their own or those
/// that have not.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Run {
    #[diesel(sql_type = Uuid)]
    pub(crate) account: AccountId,
    /// Whether they have a booking or a value date that their time does not tell.
    #[diesel(sql_type = Bool)]
    pub(crate) is_dated: bool,
    #[diesel(sql_type = BigInt)]
    pub(crate) count: i64,
    /// The first and the last of their places.
    #[diesel(sql_type = BigInt)]
    pub(crate) first: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) last: i64,
    #[diesel(sql_type = Numeric)]
    pub(crate) debits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) credits: Units,
    /// The first whose balance does not follow from the one before it, where debits add to it and
    /// where credits do.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) broken_by_debits: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) broken_by_credits: Option<i64>,
}

/// Where a slice of entries begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// Behind this place of this account.
    pub(crate) account: AccountId,
    pub(crate) entry_seq: i64,
    /// The balance there.
    pub(crate) posted: Units,
    /// The last account.
    pub(crate) last: AccountId,
}

/// The limit is a query, so that the planner does not know it. Sums are cut at the largest amount,
/// which no account can have: nothing that is there has this fail.
const RUNS: &str = "\
    SELECT account_id AS account, is_dated, count(*) AS count, min(entry_seq) AS first, \
        max(entry_seq) AS last, \
        least(coalesce(sum(amount) FILTER (WHERE direction = 1), 0), \
            99999999999999999999999999999999999999) AS debits, \
        least(coalesce(sum(amount) FILTER (WHERE direction = 2), 0), \
            99999999999999999999999999999999999999) AS credits, \
        min(entry_seq) FILTER (WHERE posted_after - before <> debit) AS broken_by_debits, \
        min(entry_seq) FILTER (WHERE before - posted_after <> debit) AS broken_by_credits \
    FROM (SELECT account_id, entry_seq, direction, amount, posted_after, \
              value_date IS NOT NULL OR booking_date IS NOT NULL AS is_dated, \
              CASE direction WHEN 1 THEN amount ELSE -amount END AS debit, \
              lag(posted_after, 1, CASE account_id WHEN $2 THEN $4 ELSE 0 END) \
                  OVER (PARTITION BY account_id ORDER BY entry_seq) AS before \
          FROM (SELECT account_id, entry_seq, direction, amount, posted_after, value_date, \
                    booking_date \
                FROM entries WHERE tenant_id = $1 AND (account_id, entry_seq) > ($2, $3) \
                    AND account_id <= $5 \
                ORDER BY account_id, entry_seq LIMIT (SELECT $6)) e) e \
    GROUP BY account_id, is_dated";

/// Reads at most `limit` entries, in runs by account.
pub(crate) fn runs(
    conn: &mut PgConnection,
    tenant: TenantId,
    range: Range,
    limit: i64,
) -> QueryResult<Vec<Run>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        range.account.into_sql::<Uuid>(),
        range.entry_seq.into_sql::<BigInt>(),
        range.posted.into_sql::<Numeric>(),
        range.last.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let mut runs: Vec<Run> = statement(RUNS, binds).load(conn)?;
    runs.sort_by_key(|run| (run.account, run.is_dated));
    Ok(runs)
}

#[derive(QueryableByName)]
struct Booked {
    #[diesel(sql_type = Nullable<Date>)]
    booking_date: Option<Day>,
}

/// When entries at some places were booked, in their order; `None` for those that are not there.
pub(crate) fn booking_dates(
    conn: &mut PgConnection,
    tenant: TenantId,
    places: &[(AccountId, i64)],
) -> QueryResult<Vec<Option<Day>>> {
    const READ: &str = "\
        SELECT (SELECT t.booking_date FROM transactions t WHERE t.tenant_id = $1 AND t.id = ( \
            SELECT e.transaction_id FROM entries e WHERE e.tenant_id = $1 \
                AND e.account_id = n.account AND e.entry_seq = n.seq)) AS booking_date \
        FROM unnest($2, $3) WITH ORDINALITY AS n (account, seq, place) ORDER BY n.place";
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(places, |place| place.0).into_sql::<Array<Uuid>>(),
        column(places, |place| place.1).into_sql::<Array<BigInt>>(),
    );
    let rows: Vec<Booked> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.booking_date).collect())
}

/// What an account has got on one booking and one value date.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct DaySum {
    #[diesel(sql_type = Uuid)]
    pub(crate) account: AccountId,
    #[diesel(sql_type = Date)]
    pub(crate) booking: Day,
    #[diesel(sql_type = Date)]
    pub(crate) value: Day,
    #[diesel(sql_type = Numeric)]
    pub(crate) debits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) credits: Units,
}

/// A range of places of an account, and whether of all entries there or of those with days of their
/// own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) account: AccountId,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) all: bool,
}

/// The sums by day of entries in some ranges, by a look-up of the transaction of each.
pub(crate) fn day_sums(
    conn: &mut PgConnection,
    tenant: TenantId,
    spans: &[Span],
) -> QueryResult<Vec<DaySum>> {
    const READ: &str = "\
        SELECT n.account, t.booking_date AS booking, \
            coalesce(e.value_date, t.booking_date) AS value, \
            least(coalesce(sum(e.amount) FILTER (WHERE e.direction = 1), 0), \
                99999999999999999999999999999999999999) AS debits, \
            least(coalesce(sum(e.amount) FILTER (WHERE e.direction = 2), 0), \
                99999999999999999999999999999999999999) AS credits \
        FROM unnest($2, $3, $4, $5) AS n (account, first, last, is_all), \
        LATERAL (SELECT transaction_id, direction, amount, value_date FROM entries \
            WHERE tenant_id = $1 AND account_id = n.account AND entry_seq >= n.first \
                AND entry_seq <= n.last \
                AND (n.is_all OR value_date IS NOT NULL OR booking_date IS NOT NULL) OFFSET 0) e, \
        LATERAL (SELECT booking_date FROM transactions \
            WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) t \
        GROUP BY 1, 2, 3";
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(spans, |span| span.account).into_sql::<Array<Uuid>>(),
        column(spans, |span| span.first).into_sql::<Array<BigInt>>(),
        column(spans, |span| span.last).into_sql::<Array<BigInt>>(),
        column(spans, |span| span.all).into_sql::<Array<Bool>>(),
    );
    statement(READ, binds).load(conn)
}

#[derive(QueryableByName)]
struct Posted {
    #[diesel(sql_type = Numeric)]
    posted_after: Units,
}

/// The balance that an entry says it left.
pub(crate) fn posted_after(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    entry_seq: i64,
) -> QueryResult<Option<Units>> {
    const READ: &str = "\
        SELECT posted_after FROM entries \
        WHERE tenant_id = $1 AND account_id = $2 AND entry_seq = $3";
    let binds =
        (tenant.into_sql::<Uuid>(), account.into_sql::<Uuid>(), entry_seq.into_sql::<BigInt>());
    let row: Option<Posted> = statement(READ, binds).get_result(conn).optional()?;
    Ok(row.map(|row| row.posted_after))
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Numeric)]
    posted_after: Units,
    #[diesel(sql_type = Numeric)]
    debit: Units,
}

/// What an entry says it left, what the one before it did (nothing where there is none), and what
/// it adds to a balance that debits add to.
pub(crate) fn step(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    entry_seq: i64,
) -> QueryResult<(Units, Units, Units)> {
    const READ: &str = "\
        SELECT posted_after, CASE direction WHEN 1 THEN amount ELSE -amount END AS debit \
        FROM entries WHERE tenant_id = $1 AND account_id = $2 AND entry_seq <= $3 \
        ORDER BY entry_seq DESC LIMIT (SELECT 2)";
    let binds =
        (tenant.into_sql::<Uuid>(), account.into_sql::<Uuid>(), entry_seq.into_sql::<BigInt>());
    let rows: Vec<Step> = statement(READ, binds).load(conn)?;
    let at = |index: usize| rows.get(index).map_or(Units::ZERO, |row| row.posted_after);
    Ok((at(0), at(1), rows.first().map_or(Units::ZERO, |row| row.debit)))
}
