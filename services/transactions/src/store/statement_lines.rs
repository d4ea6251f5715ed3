//! `statement_lines`: which entries statements have, and where their texts are.

use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Binary, Date, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid,
};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::{Day, Timestamp};

use super::entries;
use super::texts::stored;
use super::transactions::{direction_column, direction_from_column};
use crate::domain::{
    DESCRIPTION, LINES_MAX, NewStatement, StatementId, StatementLine, TransactionId, Written,
};

/// The entries that are booked on some days: those whose day the index has, and those that were
/// posted on it, which lie in a range of places. One more than there may be tells that there are
/// too many.
macro_rules! booked {
    () => {
        "SELECT e.* FROM ( \
            SELECT transaction_id, entry_index, entry_seq, direction, amount, booking_date \
            FROM entries WHERE tenant_id = $1 AND account_id = $2 AND booking_date >= $3 \
                AND booking_date <= $4 AND entry_seq <= $5 \
            UNION ALL \
            SELECT n.transaction_id, n.entry_index, n.entry_seq, n.direction, n.amount, \
                t.booking_date \
            FROM (SELECT transaction_id, entry_index, entry_seq, direction, amount, booking_date \
                  FROM entries WHERE tenant_id = $1 AND account_id = $2 AND entry_seq >= $6 \
                      AND entry_seq < $7 OFFSET 0) n, \
            LATERAL (SELECT booking_date FROM transactions \
                WHERE tenant_id = $1 AND id = n.transaction_id AND booking_date >= $3 \
                    AND booking_date <= $4 LIMIT 1) t \
            WHERE n.booking_date IS NULL) e LIMIT $8"
    };
}

const COUNT: &str = concat!("SELECT count(*) AS count FROM (", booked!(), ") e");

const INSERT: &str = concat!(
    "INSERT INTO statement_lines (tenant_id, statement_id, line, transaction_id, entry_index, \
        entry_seq, balance) \
     SELECT $1, $9, row_number() OVER booked, transaction_id, entry_index, entry_seq, \
        $10 + sum(CASE direction WHEN $11 THEN amount ELSE -amount END) OVER booked FROM (",
    booked!(),
    ") e WINDOW booked AS (ORDER BY booking_date, entry_seq)"
);

#[derive(Debug, QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many lines a statement would have; one more than there may be where they are too many.
pub(super) fn count(
    conn: &mut PgConnection,
    tenant: TenantId,
    head: &NewStatement,
) -> QueryResult<i64> {
    let binds = booked(conn, tenant, head)?;
    let found: Count = statement(COUNT, binds).get_result(conn)?;
    Ok(found.count)
}

/// Writes the lines of a statement, in the order of their booking dates, and gives how many there
/// are: one more than there may be where they are too many.
pub(super) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    head: &NewStatement,
) -> QueryResult<i64> {
    let more = (
        head.name.id.into_sql::<Uuid>(),
        head.opening.into_sql::<Numeric>(),
        direction_column(head.normal_side).into_sql::<SmallInt>(),
    );
    let binds = booked(conn, tenant, head)?;
    let inserted = statement(INSERT, (binds, more)).execute(conn)?;
    Ok(i64::try_from(inserted).unwrap_or(i64::MAX))
}

/// The values of a query for the entries of some days.
fn booked(
    conn: &mut PgConnection,
    tenant: TenantId,
    head: &NewStatement,
) -> QueryResult<impl diesel::query_builder::QueryFragment<diesel::pg::Pg> + use<>> {
    let (account, count) = (head.name.account, head.entry_seq);
    let (first, end) = entries::posted_on(conn, tenant, account, count, (head.start, head.end))?;
    Ok((
        tenant.into_sql::<Uuid>(),
        account.into_sql::<Uuid>(),
        head.start.into_sql::<Date>(),
        head.end.into_sql::<Date>(),
        count.into_sql::<BigInt>(),
        first.into_sql::<BigInt>(),
        end.into_sql::<BigInt>(),
        (LINES_MAX + 1).into_sql::<BigInt>(),
    ))
}

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    line: i64,
    #[diesel(sql_type = Uuid)]
    transaction_id: TransactionId,
    #[diesel(sql_type = Integer)]
    entry_index: i32,
    #[diesel(sql_type = Numeric)]
    balance: Units,
    #[diesel(sql_type = BigInt)]
    entry_seq: i64,
    #[diesel(sql_type = SmallInt)]
    direction: i16,
    #[diesel(sql_type = Numeric)]
    amount: Units,
    #[diesel(sql_type = Numeric)]
    posted_after: Units,
    #[diesel(sql_type = Nullable<Numeric>)]
    available_after: Option<Units>,
    #[diesel(sql_type = BigInt)]
    version_after: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    effective_time: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    record_time: Timestamp,
    #[diesel(sql_type = Date)]
    booking_date: Day,
    #[diesel(sql_type = Nullable<Text>)]
    memo: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    memo_salt: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    memo_commitment: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Text>)]
    description: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    description_salt: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    description_commitment: Option<Vec<u8>>,
}

impl From<Row> for StatementLine {
    fn from(row: Row) -> Self {
        Self {
            line: row.line,
            transaction: row.transaction_id,
            kind: row.kind,
            entry_index: row.entry_index,
            direction: direction_from_column(row.direction),
            amount: row.amount,
            posted_after: row.posted_after,
            available_after: row.available_after,
            entry_seq: row.entry_seq,
            version_after: row.version_after,
            effective_time: row.effective_time,
            record_time: row.record_time,
            booking_date: row.booking_date,
            balance: row.balance,
            memo: written(row.memo, row.memo_salt, row.memo_commitment),
            description: written(row.description, row.description_salt, row.description_commitment),
        }
    }
}

fn written(
    text: Option<String>,
    salt: Option<Vec<u8>>,
    commitment: Option<Vec<u8>>,
) -> Option<Written> {
    let commitment = stored(salt, commitment);
    let is_redacted = commitment.as_ref().is_some_and(|one| one.salt.is_empty());
    text.map(|text| Written { text: if is_redacted { String::new() } else { text }, commitment })
}

/// Reads the lines of a statement behind one of them, in their order.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: StatementId,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<StatementLine>> {
    const READ: &str = "\
        SELECT l.*, e.*, t.*, m.*, d.* FROM ( \
            SELECT line, transaction_id, entry_index, balance FROM statement_lines \
            WHERE tenant_id = $1 AND statement_id = $2 AND line > $3 AND line <= $4 OFFSET 0) l \
        CROSS JOIN LATERAL (SELECT entry_seq, direction, amount, posted_after, available_after, \
                version_after \
            FROM entries WHERE tenant_id = $1 AND transaction_id = l.transaction_id \
                AND entry_index = l.entry_index LIMIT 1) e \
        CROSS JOIN LATERAL (SELECT kind, effective_time, record_time, booking_date \
            FROM transactions WHERE tenant_id = $1 AND id = l.transaction_id LIMIT 1) t \
        LEFT JOIN LATERAL (SELECT text AS memo, salt AS memo_salt, \
                commitment AS memo_commitment \
            FROM texts WHERE tenant_id = $1 AND transaction_id = l.transaction_id \
                AND entry_index = l.entry_index LIMIT 1) m ON true \
        LEFT JOIN LATERAL (SELECT text AS description, salt AS description_salt, \
                commitment AS description_commitment \
            FROM texts WHERE tenant_id = $1 AND transaction_id = l.transaction_id \
                AND entry_index = $5 LIMIT 1) d ON true \
        ORDER BY l.line";
    let binds = (
        tenant.into_sql::<Uuid>(),
        id.into_sql::<Uuid>(),
        after.into_sql::<BigInt>(),
        after.saturating_add(limit).into_sql::<BigInt>(),
        DESCRIPTION.into_sql::<Integer>(),
    );
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(StatementLine::from).collect())
}
