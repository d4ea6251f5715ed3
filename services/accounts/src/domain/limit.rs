//! Limits of accounts, as they are stored here: the ledger counts against them.

use serde::{Deserialize, Serialize};
use shared::money::Units;

use super::freeze::Direction;

/// Limits that one account may have.
pub(crate) const LIMITS_MAX: usize = 32;
/// Types of transactions that one limit may name.
pub(crate) const TYPES_MAX: usize = 32;

/// Bounds how much, or how often, an account is debited or credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// The id within the account.
    pub(crate) id: String,
    /// Which postings count.
    pub(crate) direction: Direction,
    /// Over which time.
    pub(crate) window: Window,
    /// How much at most, in the account's currency.
    pub(crate) max_amount: Option<Units>,
    /// How many postings and holds at most.
    pub(crate) max_count: Option<i64>,
    /// The types of transactions and holds that count; all where there is none.
    pub(crate) types: Vec<String>,
    /// Whether all accounts of the customer that have the limit count together.
    pub(crate) of_customer: bool,
}

/// Over which time a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Window {
    /// Each transaction by itself.
    Transaction,
    /// A calendar day in the tenant's time zone.
    Day,
    /// A calendar month in the tenant's time zone.
    Month,
    /// The time before the posting, in microseconds: a minute to 366 days.
    Rolling(i64),
}

impl Window {
    /// A rolling window of so many microseconds.
    pub(crate) fn rolling(micros: i64) -> Option<Self> {
        const MINUTE: i64 = 60 * 1_000_000;
        const LONGEST: i64 = 366 * 24 * 60 * MINUTE;
        (MINUTE..=LONGEST).contains(&micros).then_some(Self::Rolling(micros))
    }
}
