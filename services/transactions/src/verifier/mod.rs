//! Verifies the books, slice by slice: accounts, then transactions, then the log. A slice reads a
//! bounded number of rows in one snapshot. Whoever verifies keeps the place between slices: within
//! one snapshot for everything at once, or with a new one each time, because what was posted never
//! changes and what is added comes behind it.

mod accounts;
mod accuse;
mod log;
mod transactions;
mod whole;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;
use shared::tenants::TenantInfo;

use crate::domain::{AccountId, Check, Finding, TransactionId};
use crate::error::Error;

pub(crate) use accounts::Tally;
pub(crate) use accuse::{accuse, resolve};
pub(crate) use log::LogPlace;
pub(crate) use whole::{Asked, News, Verification};

/// Whose books.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) tenant: TenantId,
    /// The time zone that its days are of.
    zone: String,
}

impl Books {
    pub(crate) fn of(tenant: &TenantInfo) -> Self {
        let zone = tenant.zone.iana_name().unwrap_or("UTC").to_owned();
        Self { tenant: tenant.id, zone }
    }
}

/// Where a verification of everything is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Place {
    /// Behind this account; or within the next, after the entries of a tally.
    Accounts { after: Option<AccountId>, tally: Option<Box<Tally>> },
    /// Behind this transaction.
    Transactions { after: TransactionId },
    /// Behind some leaves of the log.
    Log(LogPlace),
}

impl Place {
    /// Where it begins.
    pub(crate) const START: Self = Self::Accounts { after: None, tally: None };
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accounts: i64,
    pub(crate) entries: i64,
    pub(crate) transactions: i64,
    pub(crate) leaves: i64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.accounts += other.accounts;
        self.entries += other.entries;
        self.transactions += other.transactions;
        self.leaves += other.leaves;
    }
}

/// What a slice has.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Entries count with their accounts, and not again with their transactions.
    pub(crate) counts: Counts,
    /// How many rows were looked at, whichever.
    pub(crate) rows: i64,
    pub(crate) findings: Vec<Finding>,
}

/// Looks at the slice at a place, of about `limit` rows, and gives the next place; `None` at the
/// end. The log is left out where nobody asks for it.
pub(crate) fn step(
    conn: &mut PgConnection,
    books: &Books,
    place: Place,
    limit: i64,
    with_log: bool,
) -> Result<(Slice, Option<Place>), Error> {
    match place {
        Place::Accounts { after, tally } => {
            let range = accounts::All { after, tally };
            let (slice, next) = accounts::step(conn, books.tenant, range, limit)?;
            let next = match next {
                Some(accounts::All { after, tally }) => Place::Accounts { after, tally },
                None => Place::Transactions { after: TransactionId::from_uuid(uuid::Uuid::nil()) },
            };
            Ok((slice, Some(next)))
        }
        Place::Transactions { after } => {
            let (slice, next) = transactions::step(conn, books, after, limit)?;
            let next = match next {
                Some(after) => Some(Place::Transactions { after }),
                None => with_log.then(|| Place::Log(LogPlace::default())),
            };
            Ok((slice, next))
        }
        Place::Log(place) => {
            let (slice, next) = log::step(conn, books.tenant, &place, limit)?;
            Ok((slice, next.map(Place::Log)))
        }
    }
}

/// Looks at one account alone, in slices of about `limit` rows; tells of each.
pub(crate) fn account(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    limit: i64,
    mut tell: impl FnMut(Slice) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut tally = None;
    loop {
        let (slice, next) = accounts::step_one(conn, tenant, id, tally, limit)?;
        tell(slice)?;
        match next {
            Some(next) => tally = Some(next),
            None => return Ok(()),
        }
    }
}

/// Looks again, in this snapshot, at what was found in another one, and gives what still is so.
pub(crate) fn recheck(
    conn: &mut PgConnection,
    books: &Books,
    findings: &[Finding],
    limit: i64,
) -> Result<Vec<Finding>, Error> {
    let mut still = Vec::new();
    let (mut accounts, mut transactions) = (Vec::new(), Vec::new());
    for finding in findings {
        if let Ok(id) = AccountId::parse_name(&finding.resource) {
            accounts.push(id);
        } else if let Ok(id) = TransactionId::parse_name(&finding.resource) {
            transactions.push(id);
        } else {
            // Leaves are only added once they are committed, and never change.
            still.push(finding.clone());
        }
    }
    accounts.sort_unstable();
    accounts.dedup();
    for id in accounts {
        account(conn, books.tenant, id, limit, |slice| {
            still.extend(slice.findings);
            Ok(())
        })?;
    }
    transactions.sort_unstable();
    transactions.dedup();
    still.extend(transactions::closely(conn, books, &transactions)?);
    Ok(still)
}

/// How many rows a verification of everything looks at, about, with each leaf as what it costs.
pub(crate) fn work(
    conn: &mut PgConnection,
    tenant: TenantId,
    with_log: bool,
) -> Result<i64, Error> {
    let entries = crate::store::verify::accounts::entry_count(conn, tenant)?;
    let leaves = if with_log { crate::store::verify::log::size(conn, tenant)? } else { 0 };
    Ok(entries.saturating_mul(2).saturating_add(leaves.saturating_mul(log::COST)).max(1))
}

/// A finding about the log, or about a leaf of it.
fn of_leaf(check: Check, index: i64, found: String, expected: String) -> Finding {
    let resource = format!("leaves/{index}");
    Finding { check, resource, found, expected, accounts: std::collections::BTreeSet::new() }
}
