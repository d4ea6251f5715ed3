//! Transactions and their entries, in the order of their ids.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, Numeric, SmallInt, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Day;

use crate::domain::{AccountId, TransactionId};

#[derive(QueryableByName)]
struct Bound {
    #[diesel(sql_type = Nullable<Uuid>)]
    first: Option<TransactionId>,
    #[diesel(sql_type = Nullable<Uuid>)]
    beyond: Option<TransactionId>,
}

/// The last transaction of a slice of about `limit` entries behind another transaction: all of its
/// entries are in the slice. The last of all where no more follow.
fn bound(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: TransactionId,
    limit: i64,
) -> QueryResult<TransactionId> {
    const READ: &str = "\
        SELECT (SELECT transaction_id FROM entries WHERE tenant_id = $1 AND transaction_id > $2 \
                ORDER BY transaction_id, entry_index LIMIT (SELECT 1)) AS first, \
            (SELECT transaction_id FROM entries WHERE tenant_id = $1 AND transaction_id > $2 \
                ORDER BY transaction_id, entry_index OFFSET $3 LIMIT (SELECT 1)) AS beyond";
    let binds = (tenant.into_sql::<Uuid>(), after.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let bound: Bound = statement(READ, binds).get_result(conn)?;
    let before = |id: TransactionId| uuid::Uuid::from_u128(id.uuid().as_u128().saturating_sub(1));
    Ok(match bound.beyond {
        None => TransactionId::from_uuid(uuid::Uuid::max()),
        // One that has more than a slice is a slice of its own.
        Some(beyond) if bound.first == Some(beyond) => beyond,
        Some(beyond) => TransactionId::from_uuid(before(beyond)),
    })
}

/// What a slice of transactions has.
#[derive(Debug, QueryableByName)]
pub(crate) struct Slice {
    #[diesel(sql_type = BigInt)]
    pub(crate) transactions: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) entries: i64,
    /// Those that do not sum to zero at the first look.
    #[diesel(sql_type = Array<Uuid>)]
    pub(crate) suspects: Vec<TransactionId>,
}

/// Headers and entries are one ordered stream, so no join can be planned badly. A header counts as
/// minus the entries that it has; the days that its entries name are that on which it was booked,
/// where that is another one than that of its time. Several currencies are for a closer look.
const SLICE: &str = "\
    SELECT count(*) FILTER (WHERE headers > 0) AS transactions, \
        coalesce(sum(entries), 0)::bigint AS entries, \
        coalesce(array_agg(id) FILTER (WHERE headers <> 1 OR missing <> 0 OR sum <> 0 \
            OR first_currency <> last_currency OR first_day <> last_day \
            OR (days <> 0 AND days <> entries + headers)), '{}') AS suspects \
    FROM (SELECT id, count(*) FILTER (WHERE is_header) AS headers, \
              count(*) FILTER (WHERE NOT is_header) AS entries, sum(missing) AS missing, \
              sum(amount) AS sum, min(currency COLLATE \"C\") AS first_currency, \
              max(currency COLLATE \"C\") AS last_currency, count(day) AS days, \
              min(day) AS first_day, max(day) AS last_day \
          FROM (SELECT id, true AS is_header, -entry_count AS missing, NULL::numeric AS amount, \
                    NULL AS currency, \
                    nullif(booking_date, (record_time AT TIME ZONE $4)::date) AS day \
                FROM transactions WHERE tenant_id = $1 AND id > $2 AND id <= $3 \
                UNION ALL \
                SELECT transaction_id, false, 1, \
                    CASE direction WHEN 1 THEN amount ELSE -amount END, currency, booking_date \
                FROM entries WHERE tenant_id = $1 AND transaction_id > $2 \
                    AND transaction_id <= $3) r \
          GROUP BY id) t";

/// Looks at about `limit` entries of the transactions behind one, whose days are those of a time
/// zone. Gives the last transaction of the slice; `None` where no more follow.
pub(crate) fn slice(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: TransactionId,
    zone: &str,
    limit: i64,
) -> QueryResult<(Slice, Option<TransactionId>)> {
    let last = bound(conn, tenant, after, limit)?;
    let binds = (
        tenant.into_sql::<Uuid>(),
        after.into_sql::<Uuid>(),
        last.into_sql::<Uuid>(),
        zone.into_sql::<Text>(),
    );
    let slice = statement(SLICE, binds).get_result(conn)?;
    Ok((slice, Some(last).filter(|last| !last.uuid().is_max())))
}

/// A transaction that is looked at closely.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Header {
    #[diesel(sql_type = Uuid)]
    pub(crate) id: TransactionId,
    #[diesel(sql_type = Nullable<Integer>)]
    pub(crate) entry_count: Option<i32>,
    #[diesel(sql_type = Nullable<Date>)]
    pub(crate) booking_date: Option<Day>,
    /// The day of its time.
    #[diesel(sql_type = Nullable<Date>)]
    pub(crate) record_date: Option<Day>,
}

/// An entry of it.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Line {
    #[diesel(sql_type = Uuid)]
    pub(crate) id: TransactionId,
    #[diesel(sql_type = Uuid)]
    pub(crate) account: AccountId,
    #[diesel(sql_type = SmallInt)]
    direction: i16,
    #[diesel(sql_type = Numeric)]
    amount: Units,
    #[diesel(sql_type = Text)]
    pub(crate) currency: String,
    #[diesel(sql_type = SmallInt)]
    pub(crate) decimals: i16,
    #[diesel(sql_type = Nullable<Date>)]
    pub(crate) booking_date: Option<Day>,
}

impl Line {
    /// What it adds to the debits, in minor units.
    pub(crate) fn debit(&self) -> i128 {
        if self.direction == 1 { self.amount.get() } else { -self.amount.get() }
    }
}

/// Reads transactions, whether or not they have headers, and their entries.
pub(crate) fn closely(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
    zone: &str,
) -> QueryResult<(Vec<Header>, Vec<Line>)> {
    const HEADERS: &str = "\
        SELECT n.id, t.entry_count, t.booking_date, t.record_date FROM unnest($2) AS n (id) \
        LEFT JOIN LATERAL (SELECT entry_count, booking_date, \
                (record_time AT TIME ZONE $3)::date AS record_date \
            FROM transactions WHERE tenant_id = $1 AND id = n.id LIMIT 1) t ON true";
    const LINES: &str = "\
        SELECT n.id, e.account_id AS account, e.direction, e.amount, e.currency, e.booking_date, \
            coalesce((SELECT a.decimals FROM ledger_accounts a WHERE a.tenant_id = $1 \
                AND a.id = e.account_id), 0::smallint) AS decimals \
        FROM unnest($2) AS n (id), LATERAL (SELECT account_id, direction, amount, currency, \
            booking_date FROM entries WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) e";
    if ids.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        ids.to_vec().into_sql::<Array<Uuid>>(),
        zone.into_sql::<Text>(),
    );
    let headers = statement(HEADERS, binds).load(conn)?;
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    Ok((headers, statement(LINES, binds).load(conn)?))
}

#[derive(QueryableByName)]
struct Touched {
    #[diesel(sql_type = Uuid)]
    account: AccountId,
}

/// The accounts of a transaction.
pub(crate) fn accounts(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> QueryResult<Vec<AccountId>> {
    const READ: &str = "\
        SELECT account_id AS account FROM entries WHERE tenant_id = $1 AND transaction_id = $2";
    let binds = (tenant.into_sql::<Uuid>(), id.into_sql::<Uuid>());
    let rows: Vec<Touched> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.account).collect())
}
