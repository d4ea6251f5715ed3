//! Transactions: their entries sum to zero in each currency, are as many as they say, and are of
//! one day.

use std::collections::BTreeMap;

use diesel::PgConnection;
use shared::money::Units;

use super::{Books, Counts, Slice};
use crate::domain::{Check, Finding, TransactionId};
use crate::error::Error;
use crate::store::verify::transactions::{self, Header, Line};

/// Looks at about `limit` entries, and gives the last transaction.
pub(super) fn step(
    conn: &mut PgConnection,
    books: &Books,
    after: TransactionId,
    limit: i64,
) -> Result<(Slice, Option<TransactionId>), Error> {
    let (found, next) = transactions::slice(conn, books.tenant, after, &books.zone, limit)?;
    let counts = Counts { transactions: found.transactions, ..Counts::default() };
    let findings = closely(conn, books, &found.suspects)?;
    Ok((Slice { counts, rows: found.entries, findings }, next))
}

/// Says what is wrong with transactions, if anything is.
pub(super) fn closely(
    conn: &mut PgConnection,
    books: &Books,
    ids: &[TransactionId],
) -> Result<Vec<Finding>, Error> {
    let (headers, lines) = transactions::closely(conn, books.tenant, ids, &books.zone)?;
    let mut by_id: BTreeMap<TransactionId, Vec<Line>> = BTreeMap::new();
    for line in lines {
        by_id.entry(line.id).or_default().push(line);
    }
    let mut findings = Vec::new();
    for header in headers {
        let lines = by_id.remove(&header.id).unwrap_or_default();
        findings.extend(sums(&header, &lines));
        findings.extend(days(&header, &lines));
    }
    Ok(findings)
}

fn finding(
    check: Check,
    header: &Header,
    lines: &[Line],
    (found, expected): (String, String),
) -> Finding {
    let accounts = lines.iter().map(|line| line.account).collect();
    Finding { check, resource: header.id.name(), found, expected, accounts }
}

fn sums(header: &Header, lines: &[Line]) -> Option<Finding> {
    let mut debits: BTreeMap<&str, (i128, i16)> = BTreeMap::new();
    for line in lines {
        let sum = debits.entry(&line.currency).or_insert((0, line.decimals));
        sum.0 = sum.0.saturating_add(line.debit());
    }
    let off = debits.into_iter().find(|(_, (sum, _))| *sum != 0);
    let count = i32::try_from(lines.len()).ok();
    let told = match (header.entry_count, off) {
        (None, _) => ("no transaction".to_owned(), format!("one of {} entries", lines.len())),
        (Some(_), Some((code, (sum, decimals)))) => {
            (money(sum, code, decimals), money(0, code, decimals))
        }
        (expected, None) if expected != count => {
            let expected = expected.unwrap_or_default();
            (format!("{} entries", lines.len()), format!("{expected} entries"))
        }
        _ => return None,
    };
    Some(finding(Check::ZeroSum, header, lines, told))
}

fn money(units: i128, code: &str, decimals: i16) -> String {
    let currency = u8::try_from(decimals).ok();
    let currency = currency.and_then(|decimals| shared::money::Currency::new(code, decimals));
    match (Units::new(units), currency) {
        (Some(units), Some(currency)) => format!("{} {code}", units.major(currency)),
        _ => format!("{units} {code}"),
    }
}

/// An entry names the booking date where it is not the day of the time, and only then.
fn days(header: &Header, lines: &[Line]) -> Option<Finding> {
    let booked = header.booking_date?;
    let record_date = header.record_date?;
    let of = |line: &Line| line.booking_date.unwrap_or(record_date);
    let other = lines.iter().find(|line| of(line) != booked)?;
    let told = (booked.to_string(), of(other).to_string());
    Some(finding(Check::DayTotals, header, lines, told))
}
