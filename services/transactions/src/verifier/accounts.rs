//! Accounts: in one walk over the entries of each, in their order, balance, running balance, places
//! and days; and what is held.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::Day;
use uuid::Uuid;

use super::{Counts, Slice};
use crate::domain::{AccountId, Check, Finding};
use crate::error::Error;
use crate::store::verify::accounts::{self, Days, Stated};
use crate::store::verify::entries::{self, Range, Run, Span};

/// Before every account, and behind.
const FIRST: AccountId = AccountId::from_uuid(Uuid::nil());
const LAST: AccountId = AccountId::from_uuid(Uuid::max());

/// What the entries of an account come to, up to a place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    account: AccountId,
    count: i64,
    first: i64,
    last: i64,
    /// The balance that the last of them left.
    posted: Units,
    debits: Units,
    credits: Units,
    broken_by_debits: Option<i64>,
    broken_by_credits: Option<i64>,
    days: Vec<(Day, Day, Units, Units)>,
}

impl Tally {
    fn new(account: AccountId) -> Self {
        Self {
            account,
            count: 0,
            first: i64::MAX,
            last: i64::MIN,
            posted: Units::ZERO,
            debits: Units::ZERO,
            credits: Units::ZERO,
            broken_by_debits: None,
            broken_by_credits: None,
            days: Vec::new(),
        }
    }

    fn add(&mut self, run: &Run) {
        self.count += run.count;
        self.first = self.first.min(run.first);
        self.last = self.last.max(run.last);
        self.debits = sum(self.debits, run.debits);
        self.credits = sum(self.credits, run.credits);
        self.broken_by_debits = earlier(self.broken_by_debits, run.broken_by_debits);
        self.broken_by_credits = earlier(self.broken_by_credits, run.broken_by_credits);
    }

    fn add_day(&mut self, booking: Day, value: Day, debits: Units, credits: Units) {
        let key = |day: &(Day, Day, Units, Units)| (day.0, day.1);
        match self.days.binary_search_by_key(&(booking, value), key) {
            Ok(index) => {
                let day = &mut self.days[index];
                (day.2, day.3) = (sum(day.2, debits), sum(day.3, credits));
            }
            Err(index) => self.days.insert(index, (booking, value, debits, credits)),
        }
    }

    fn days(&self) -> Days {
        let days = self.days.iter();
        days.map(|(booking, value, debits, credits)| ((*booking, *value), (*debits, *credits)))
            .collect()
    }
}

/// What no account can have is as wrong as a little more of it.
fn sum(a: Units, b: Units) -> Units {
    a.checked_add(b).unwrap_or(a)
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// All accounts from a place on.
#[derive(Debug)]
pub(super) struct All {
    pub(super) after: Option<AccountId>,
    pub(super) tally: Option<Box<Tally>>,
}

/// Looks at about `limit` entries, and at most as many accounts.
pub(super) fn step(
    conn: &mut PgConnection,
    tenant: TenantId,
    place: All,
    limit: i64,
) -> Result<(Slice, Option<All>), Error> {
    let Read { mut tallies, is_full, rows } =
        read(conn, tenant, place.after, LAST, place.tally, limit)?;
    // The last account of a full slice may go on.
    let open = if is_full { tallies.pop_last() } else { None };
    let last = match &open {
        Some((account, _)) => AccountId::from_uuid(before(account.uuid())),
        None => LAST,
    };
    let stated = accounts::stated(conn, tenant, place.after, last, limit)?;
    let reached = stated.last().filter(|_| at_least(stated.len(), limit)).map(|row| row.id);
    if let Some(reached) = reached {
        // There are more accounts without entries than a slice has: the others are for the next.
        tallies.retain(|account, _| *account <= reached);
    }
    let slice = close(conn, tenant, stated, tallies, rows)?;
    let next = match (reached, open) {
        (Some(reached), _) => Some(All { after: Some(reached), tally: None }),
        (None, Some((_, tally))) => {
            Some(All { after: Some(last).filter(|_| last != LAST), tally: Some(Box::new(tally)) })
        }
        (None, None) => None,
    };
    Ok((slice, next))
}

/// Looks at about `limit` entries of one account; gives what they come to while there are more.
pub(super) fn step_one(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    tally: Option<Box<Tally>>,
    limit: i64,
) -> Result<(Slice, Option<Box<Tally>>), Error> {
    let after = Some(AccountId::from_uuid(before(account.uuid())));
    let Read { mut tallies, is_full, rows } = read(conn, tenant, after, account, tally, limit)?;
    if is_full {
        let counts = Counts { entries: rows, ..Counts::default() };
        let slice = Slice { counts, rows, ..Slice::default() };
        return Ok((slice, tallies.remove(&account).map(Box::new)));
    }
    let mut stated = accounts::stated(conn, tenant, after, account, 1)?;
    stated.retain(|row| row.id == account);
    Ok((close(conn, tenant, stated, tallies, rows)?, None))
}

fn before(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

fn at_least(length: usize, limit: i64) -> bool {
    i64::try_from(length).is_ok_and(|length| length >= limit)
}

/// Entries that were read.
struct Read {
    tallies: BTreeMap<AccountId, Tally>,
    /// Whether there may be more.
    is_full: bool,
    rows: i64,
}

/// Reads a slice of entries behind an account or a tally.
fn read(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<AccountId>,
    last: AccountId,
    tally: Option<Box<Tally>>,
    limit: i64,
) -> Result<Read, Error> {
    let range = if let Some(tally) = &tally {
        let (account, entry_seq, posted) = (tally.account, tally.last, tally.posted);
        Range { account, entry_seq, posted, last }
    } else {
        let (account, entry_seq) = (after.unwrap_or(FIRST), i64::MAX);
        Range { account, entry_seq, posted: Units::ZERO, last }
    };
    let runs = entries::runs(conn, tenant, range, limit)?;
    let rows = runs.iter().map(|run| run.count).sum();
    let mut tallies: BTreeMap<AccountId, Tally> =
        tally.into_iter().map(|tally| (tally.account, *tally)).collect();
    for run in &runs {
        tallies.entry(run.account).or_insert_with(|| Tally::new(run.account)).add(run);
    }
    add_days(conn, tenant, &runs, &mut tallies)?;
    let is_full = rows >= limit;
    if is_full && let Some(mut open) = tallies.last_entry() {
        let (account, seq) = (*open.key(), open.get().last);
        open.get_mut().posted =
            entries::posted_after(conn, tenant, account, seq)?.unwrap_or_default();
    }
    Ok(Read { tallies, is_full, rows })
}

/// Finds out when the entries of runs were booked. Times go on with the places, so what lies
/// between two entries of one day is of that day, unless it has a day of its own; only where the
/// days differ is each entry looked at. That a header has the right day is checked with it.
fn add_days(
    conn: &mut PgConnection,
    tenant: TenantId,
    runs: &[Run],
    tallies: &mut BTreeMap<AccountId, Tally>,
) -> Result<(), Error> {
    let plain: Vec<&Run> = runs.iter().filter(|run| !run.is_dated).collect();
    let ends: Vec<(AccountId, i64)> =
        plain.iter().flat_map(|run| [(run.account, run.first), (run.account, run.last)]).collect();
    let dates = entries::booking_dates(conn, tenant, &ends)?;
    let mut spans: BTreeMap<AccountId, Span> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.is_dated) {
        let Run { account, first, last, .. } = *run;
        spans.insert(account, Span { account, first, last, all: false });
    }
    for (run, dates) in plain.iter().zip(dates.chunks_exact(2)) {
        match dates {
            [Some(first), Some(last)] if first == last => {
                if let Some(tally) = tallies.get_mut(&run.account) {
                    tally.add_day(*first, *first, run.debits, run.credits);
                }
            }
            _ => {
                let Run { account, first, last, .. } = **run;
                let new = Span { account, first, last, all: true };
                let span = spans.entry(account).or_insert(new);
                *span = Span {
                    account,
                    first: span.first.min(first),
                    last: span.last.max(last),
                    all: true,
                };
            }
        }
    }
    let spans: Vec<Span> = spans.into_values().collect();
    for day in entries::day_sums(conn, tenant, &spans)? {
        if let Some(tally) = tallies.get_mut(&day.account) {
            tally.add_day(day.booking, day.value, day.debits, day.credits);
        }
    }
    Ok(())
}

/// Compares accounts with what their entries come to.
fn close(
    conn: &mut PgConnection,
    tenant: TenantId,
    stated: Vec<Stated>,
    mut tallies: BTreeMap<AccountId, Tally>,
    rows: i64,
) -> Result<Slice, Error> {
    let ids: Vec<AccountId> = stated.iter().map(|row| row.id).collect();
    let mut totals = accounts::day_totals(conn, tenant, &ids)?;
    let count = i64::try_from(stated.len()).unwrap_or(i64::MAX);
    let counts = Counts { accounts: count, entries: rows, ..Counts::default() };
    let mut slice = Slice { counts, rows: rows.saturating_add(count), findings: Vec::new() };
    for row in stated {
        let tally = tallies.remove(&row.id).unwrap_or_else(|| Tally::new(row.id));
        let comparison =
            Comparison { days: totals.remove(&row.id).unwrap_or_default(), row, tally };
        slice.findings.extend(comparison.findings());
        slice.findings.extend(comparison.running(conn, tenant)?);
    }
    // Entries of an account that is not there.
    slice.findings.extend(tallies.into_values().map(|tally| {
        let expected = format!("an account with {} entries", tally.count);
        Finding::of_account(Check::Balance, tally.account, "no account".to_owned(), expected)
    }));
    Ok(slice)
}

/// What an account says, and what its entries do.
struct Comparison {
    row: Stated,
    /// The totals of its days that do not stand in its row.
    days: Days,
    tally: Tally,
}

impl Comparison {
    fn finding(&self, check: Check, found: String, expected: String) -> Finding {
        Finding::of_account(check, self.row.id, found, expected)
    }

    fn money(&self, units: Units) -> String {
        let decimals = u8::try_from(self.row.decimals).ok();
        let currency = decimals.and_then(|decimals| Currency::new(&self.row.currency, decimals));
        currency.map_or_else(|| units.get().to_string(), |currency| units.major(currency))
    }

    fn sides(&self, (debits, credits): (Units, Units)) -> String {
        format!("{} debits, {} credits", self.money(debits), self.money(credits))
    }

    fn findings(&self) -> Vec<Finding> {
        let (row, tally) = (&self.row, &self.tally);
        let mut findings = Vec::new();
        let found = (row.posted_debits, row.posted_credits);
        let expected = (tally.debits, tally.credits);
        if found != expected {
            let (found, expected) = (self.sides(found), self.sides(expected));
            findings.push(self.finding(Check::Balance, found, expected));
        }
        let is_gapless = tally.count == 0 || (tally.first, tally.last) == (1, tally.count);
        if row.entry_seq != tally.count {
            let (found, expected) = (row.entry_seq.to_string(), tally.count.to_string());
            findings.push(self.finding(Check::EntrySeq, found, expected));
        } else if !is_gapless {
            let found = format!("{} entries at {}-{}", tally.count, tally.first, tally.last);
            let expected = format!("{0} entries at 1-{0}", tally.count);
            findings.push(self.finding(Check::EntrySeq, found, expected));
        }
        findings.extend(self.day());
        if row.held != row.open_holds {
            let (found, expected) = (self.money(row.held), self.money(row.open_holds));
            findings.push(self.finding(Check::Held, found, expected));
        }
        findings
    }

    /// The first day whose totals are not those of its entries.
    fn day(&self) -> Option<Finding> {
        let mut found = self.days.clone();
        if let Some(day) = self.row.day {
            let (debits, credits) = found.entry((day, day)).or_default();
            *debits = sum(*debits, self.row.day_debits);
            *credits = sum(*credits, self.row.day_credits);
        }
        let expected = self.tally.days();
        let days = found.keys().chain(expected.keys());
        let of = |days: &Days, day: &(Day, Day)| days.get(day).copied().unwrap_or_default();
        let wrong = days.filter(|day| of(&found, day) != of(&expected, day)).min()?;
        let told = |days: &Days| {
            let sides = self.sides(of(days, wrong));
            match wrong.0 == wrong.1 {
                true => format!("{}: {sides}", wrong.0),
                false => format!("{} valued {}: {sides}", wrong.0, wrong.1),
            }
        };
        Some(self.finding(Check::DayTotals, told(&found), told(&expected)))
    }

    /// The first entry whose balance does not follow from the one before.
    fn running(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Finding>, Error> {
        let grows_by_debits = self.row.grows_by_debits();
        let broken = match grows_by_debits {
            true => self.tally.broken_by_debits,
            false => self.tally.broken_by_credits,
        };
        let Some(seq) = broken else { return Ok(None) };
        let (found, before, debit) = entries::step(conn, tenant, self.row.id, seq)?;
        let expected = match grows_by_debits {
            true => before.checked_add(debit),
            false => before.checked_sub(debit),
        };
        let told = |units| format!("entry {seq}: {}", self.money(units));
        let (found, expected) = (told(found), told(expected.unwrap_or_default()));
        Ok(Some(self.finding(Check::RunningBalance, found, expected)))
    }
}
