//! The decision about a posting: in memory, over accounts whose rows are locked. Several postings
//! are decided one after the other over the same accounts, and each sees the ones before it.

use std::collections::{BTreeMap, BTreeSet};

use shared::money::{Money, Units};
use shared::time::Timestamp;

use super::{AccountId, Direction, LedgerAccount, NewEntry, NewTransaction, Overdraft};

/// Why a posting is refused. Each has the index of the entry that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The amount's currency is not the account's.
    CurrencyMismatch { index: usize, account: AccountId, found: Money, expected: String },
    /// A control forbids it.
    Blocked {
        index: usize,
        account: AccountId,
        direction: Direction,
        source: String,
        reason_code: String,
    },
    /// The account would fall below its bound.
    InsufficientFunds {
        index: usize,
        account: AccountId,
        available: Money,
        held: Money,
        blocked: Money,
        limit: Money,
        shortfall: Money,
    },
    /// A balance would have over 38 digits.
    Overflow { index: usize, account: AccountId },
}

/// A posted entry, and the account as it left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostedEntry {
    pub(crate) entry: NewEntry,
    pub(crate) posted_after: Units,
    pub(crate) available_after: Option<Units>,
    pub(crate) entry_seq: i64,
    pub(crate) version_after: i64,
}

/// What a posting adds to the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) record_time: Timestamp,
    pub(crate) entries: Vec<PostedEntry>,
}

/// Decides a posting. On success the accounts are as it leaves them; on a refusal they are as they
/// were. Every account of the posting must be in `accounts`.
pub(crate) fn decide(
    accounts: &mut BTreeMap<AccountId, LedgerAccount>,
    transaction: &NewTransaction,
    now: Timestamp,
) -> Result<Posted, Refusal> {
    let touched: BTreeSet<AccountId> =
        transaction.entries.iter().map(|entry| entry.account).collect();
    let before: Vec<LedgerAccount> =
        touched.iter().filter_map(|id| accounts.get(id)).cloned().collect();
    // Later than the last change of every account, whatever the clocks of the replicas say.
    let last = before.iter().map(|account| account.record_time.micros() + 1).max();
    let record_time = now.max(Timestamp::from_micros(last.unwrap_or(i64::MIN)));
    let posted = apply(accounts, transaction, now, record_time)
        .and_then(|posted| check_bounds(accounts, &before, transaction, now).map(|()| posted));
    if posted.is_err() {
        accounts.extend(before.into_iter().map(|account| (account.id, account)));
    }
    posted
}

fn apply(
    accounts: &mut BTreeMap<AccountId, LedgerAccount>,
    transaction: &NewTransaction,
    now: Timestamp,
    record_time: Timestamp,
) -> Result<Posted, Refusal> {
    let mut entries = Vec::with_capacity(transaction.entries.len());
    for (index, entry) in transaction.entries.iter().enumerate() {
        let Some(account) = accounts.get_mut(&entry.account) else {
            continue;
        };
        admit(account, index, entry, now)?;
        let side = match entry.direction {
            Direction::Debit => &mut account.posted_debits,
            Direction::Credit => &mut account.posted_credits,
        };
        *side = side
            .checked_add(entry.amount.units)
            .ok_or(Refusal::Overflow { index, account: entry.account })?;
        account.entry_seq += 1;
        account.version += 1;
        account.record_time = record_time;
        entries.push(PostedEntry {
            entry: entry.clone(),
            posted_after: account.posted(),
            available_after: account.available(now),
            entry_seq: account.entry_seq,
            version_after: account.version,
        });
    }
    Ok(Posted { record_time, entries })
}

fn admit(
    account: &LedgerAccount,
    index: usize,
    entry: &NewEntry,
    now: Timestamp,
) -> Result<(), Refusal> {
    if entry.amount.currency != account.currency {
        return Err(Refusal::CurrencyMismatch {
            index,
            account: account.id,
            found: entry.amount,
            expected: account.currency.code().to_owned(),
        });
    }
    match account.blocked_by(entry.direction, now) {
        None => Ok(()),
        Some((source, reason_code)) => Err(Refusal::Blocked {
            index,
            account: account.id,
            direction: entry.direction,
            source: source.to_owned(),
            reason_code: reason_code.to_owned(),
        }),
    }
}

/// A bound is judged once the whole transaction is applied, and refuses only what worsens: an
/// overdrawn account may always be paid into.
fn check_bounds(
    accounts: &BTreeMap<AccountId, LedgerAccount>,
    before: &[LedgerAccount],
    transaction: &NewTransaction,
    now: Timestamp,
) -> Result<(), Refusal> {
    for old in before {
        let Some(account) = accounts.get(&old.id) else {
            continue;
        };
        let (Some(available), Some(after)) = (old.available(now), account.available(now)) else {
            continue;
        };
        if after >= Units::ZERO || after >= available {
            continue;
        }
        let entry = |e: &NewEntry| e.account == old.id && old.is_worsened_by(e.direction);
        let limit = match old.overdraft {
            Overdraft::Limit(limit) => limit,
            Overdraft::Unbounded => Units::ZERO,
        };
        return Err(Refusal::InsufficientFunds {
            index: transaction.entries.iter().position(entry).unwrap_or(0),
            account: old.id,
            available: old.money(available),
            held: old.money(old.held),
            blocked: old.money(old.blocked(now)),
            limit: old.money(limit),
            shortfall: old.money(Units::ZERO.checked_sub(after).unwrap_or_default()),
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "posting_tests.rs"]
mod tests;
