//! What is asked for when a transaction is posted, and the balance that it must have by itself.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::money::{Currency, Money, Units};
use shared::time::Timestamp;

use super::{AccountId, Direction, TransactionId};

/// Entries that one transaction may have.
pub(crate) const ENTRIES_MAX: usize = 1_000;

/// An entry to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewEntry {
    pub(crate) account: AccountId,
    pub(crate) direction: Direction,
    /// Above zero.
    pub(crate) amount: Money,
    pub(crate) memo: String,
}

/// A transaction to be posted, balanced in each currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewTransaction {
    /// `None` where the caller leaves it to the service.
    pub(crate) id: Option<TransactionId>,
    pub(crate) kind: String,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) description: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The value date; the time of the posting where it is absent.
    pub(crate) effective_time: Option<Timestamp>,
}

/// A currency whose debits and credits differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unbalanced {
    pub(crate) currency: Currency,
    pub(crate) debits: Units,
    pub(crate) credits: Units,
}

/// Whether debits equal credits in each currency. `None` inside where a sum has over 38 digits.
pub(crate) fn check_balance(entries: &[NewEntry]) -> Result<(), Option<Unbalanced>> {
    let mut sums: BTreeMap<Currency, (Units, Units)> = BTreeMap::new();
    for entry in entries {
        let (debits, credits) = sums.entry(entry.amount.currency).or_default();
        let side = match entry.direction {
            Direction::Debit => debits,
            Direction::Credit => credits,
        };
        *side = side.checked_add(entry.amount.units).ok_or(None)?;
    }
    match sums.into_iter().find(|(_, (debits, credits))| debits != credits) {
        Some((currency, (debits, credits))) => Err(Some(Unbalanced { currency, debits, credits })),
        None => Ok(()),
    }
}
