//! Trial balances: what is posted to all accounts of a tenant, by currency, class and general
//! ledger code.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Nullable, Numeric, SmallInt, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::Day;

use super::ledger_accounts::class_from_column;
use crate::domain::AccountClass;

/// The most lines that one has.
pub(crate) const LINES_MAX: usize = 10_000;

/// As of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsOf {
    Now,
    /// The end of a booking date.
    Booking(Day),
    /// The end of a value date.
    Value(Day),
}

/// What is posted to the accounts of one class and code in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) currency: Currency,
    pub(crate) class: AccountClass,
    pub(crate) gl_code: String,
    pub(crate) debits: Units,
    pub(crate) credits: Units,
    pub(crate) accounts: i64,
}

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
    #[diesel(sql_type = SmallInt)]
    class: i16,
    #[diesel(sql_type = Text)]
    gl_code: String,
    #[diesel(sql_type = Numeric)]
    debits: Units,
    #[diesel(sql_type = Numeric)]
    credits: Units,
    #[diesel(sql_type = BigInt)]
    accounts: i64,
}

const NOW: &str = "\
    SELECT currency, decimals, class, gl_code, sum(posted_debits) AS debits, \
        sum(posted_credits) AS credits, count(*) AS accounts \
    FROM ledger_accounts WHERE tenant_id = $1 AND ($2 IS NULL OR currency = $2) \
    GROUP BY currency, decimals, class, gl_code ORDER BY currency, class, gl_code LIMIT $3";

// The rows of both tables are grouped by account rather than joined: then there is one plan, and it
// reads each row once.

const AS_OF: &str = "\
    SELECT currency, decimals, class, gl_code, sum(debits) AS debits, sum(credits) AS credits, \
        count(*) AS accounts \
    FROM ( \
        SELECT max(currency) AS currency, max(decimals) AS decimals, max(class) AS class, \
            max(gl_code) AS gl_code, sum(debits) AS debits, sum(credits) AS credits \
        FROM ( \
            SELECT id, currency, decimals, class, gl_code, \
                CASE WHEN day <= $4 THEN day_debits ELSE 0 END AS debits, \
                CASE WHEN day <= $4 THEN day_credits ELSE 0 END AS credits \
            FROM ledger_accounts WHERE tenant_id = $1 \
            UNION ALL \
            SELECT account_id, NULL, NULL, NULL, NULL, debits, credits \
            FROM day_totals WHERE tenant_id = $1 \
                AND CASE WHEN $5 THEN booking_date ELSE value_date END <= $4) d \
        GROUP BY id) a \
    WHERE $2 IS NULL OR currency = $2 \
    GROUP BY currency, decimals, class, gl_code ORDER BY currency, class, gl_code LIMIT $3";

/// Reads the lines in their order, of one currency or of all: one more than there may be tells that
/// there are too many.
pub(crate) fn lines(
    conn: &mut PgConnection,
    tenant: TenantId,
    as_of: AsOf,
    currency: Option<&str>,
) -> Result<Vec<Line>, DbError> {
    let limit = i64::try_from(LINES_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let binds = (
        tenant.into_sql::<Uuid>(),
        currency.into_sql::<Nullable<Text>>(),
        limit.into_sql::<BigInt>(),
    );
    let (day, is_booking) = match as_of {
        AsOf::Now => return read(statement(NOW, binds).load(conn)?),
        AsOf::Booking(day) => (day, true),
        AsOf::Value(day) => (day, false),
    };
    let more = (day.into_sql::<Date>(), is_booking.into_sql::<Bool>());
    read(statement(AS_OF, (binds, more)).load(conn)?)
}

fn read(rows: Vec<Row>) -> Result<Vec<Line>, DbError> {
    let line = |row: Row| {
        let fault = || DbError::Fault(format!("an account in {} cannot be used", row.currency));
        let decimals = u8::try_from(row.decimals).map_err(|_| fault())?;
        Ok(Line {
            currency: Currency::new(&row.currency, decimals).ok_or_else(fault)?,
            class: class_from_column(row.class).ok_or_else(fault)?,
            gl_code: row.gl_code,
            debits: row.debits,
            credits: row.credits,
            accounts: row.accounts,
        })
    };
    rows.into_iter().map(line).collect()
}
