//! An account of the ledger: its sides, its bound, and what is available.

use serde::Serialize;
use shared::money::{Currency, Money, Units};
use shared::time::Timestamp;

use super::{AccountId, Controls};

/// A side of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Direction {
    /// The left side.
    Debit,
    /// The right side.
    Credit,
}

/// The class of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum AccountClass {
    Asset,
    Liability,
    Equity,
    Income,
    Expense,
}

impl AccountClass {
    /// The side on which the class grows.
    pub(crate) fn normal_side(self) -> Direction {
        match self {
            Self::Asset | Self::Expense => Direction::Debit,
            Self::Liability | Self::Equity | Self::Income => Direction::Credit,
        }
    }
}

/// How far an account may fall below zero on its normal side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Overdraft {
    /// At most this much, zero or above.
    Limit(Units),
    /// Without a bound, as control accounts need it.
    Unbounded,
}

/// What is asked for when an account is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewAccount {
    /// Left out of the hash of a request: where the service makes it, a repeat has another one.
    #[serde(skip)]
    pub(crate) id: AccountId,
    pub(crate) currency: Currency,
    pub(crate) class: AccountClass,
    pub(crate) gl_code: String,
    pub(crate) overdraft: Overdraft,
    pub(crate) controls: Vec<Controls>,
}

impl NewAccount {
    /// The account as it begins.
    pub(crate) fn open(self, now: Timestamp) -> LedgerAccount {
        LedgerAccount {
            id: self.id,
            currency: self.currency,
            class: self.class,
            gl_code: self.gl_code,
            overdraft: self.overdraft,
            posted_debits: Units::ZERO,
            posted_credits: Units::ZERO,
            held: Units::ZERO,
            entry_seq: 0,
            version: 1,
            controls: self.controls,
            create_time: now,
            record_time: now,
        }
    }
}

/// An account as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerAccount {
    pub(crate) id: AccountId,
    pub(crate) currency: Currency,
    pub(crate) class: AccountClass,
    pub(crate) gl_code: String,
    pub(crate) overdraft: Overdraft,
    pub(crate) posted_debits: Units,
    pub(crate) posted_credits: Units,
    pub(crate) held: Units,
    pub(crate) entry_seq: i64,
    pub(crate) version: i64,
    pub(crate) controls: Vec<Controls>,
    pub(crate) create_time: Timestamp,
    pub(crate) record_time: Timestamp,
}

impl LedgerAccount {
    /// What is posted, on the normal side; negative where the account is overdrawn.
    pub(crate) fn posted(&self) -> Units {
        let (grows, falls) = match self.class.normal_side() {
            Direction::Debit => (self.posted_debits, self.posted_credits),
            Direction::Credit => (self.posted_credits, self.posted_debits),
        };
        // Both are between zero and 38 digits, so their difference has at most 38.
        grows.checked_sub(falls).unwrap_or_default()
    }

    /// What blocks with an amount set apart now.
    pub(crate) fn blocked(&self, now: Timestamp) -> Units {
        self.controls.iter().flat_map(|controls| &controls.blocks).fold(
            Units::ZERO,
            |sum, block| match block.amount {
                Some(amount) if block.holds_at(now) => saturating_add(sum, amount),
                _ => sum,
            },
        )
    }

    /// What could be spent now: posted - held - blocked + overdraft; `None` without a bound.
    pub(crate) fn available(&self, now: Timestamp) -> Option<Units> {
        let Overdraft::Limit(limit) = self.overdraft else {
            return None;
        };
        let taken = saturating_add(self.held, self.blocked(now));
        // Four numbers of 38 digits fit into an i128 of 39 only if they are added with care.
        let available = self.posted().get().saturating_sub(taken.get()).saturating_add(limit.get());
        Some(saturating(available))
    }

    /// Whether an entry on this side makes the position worse.
    pub(crate) fn is_worsened_by(&self, direction: Direction) -> bool {
        direction != self.class.normal_side()
    }

    /// An amount of the account's currency.
    pub(crate) fn money(&self, units: Units) -> Money {
        Money { currency: self.currency, units }
    }
}

fn saturating_add(a: Units, b: Units) -> Units {
    saturating(a.get().saturating_add(b.get()))
}

/// The nearest amount of 38 digits.
fn saturating(units: i128) -> Units {
    const MAX: i128 = 10_i128.pow(38) - 1;
    Units::new(units.clamp(-MAX, MAX)).unwrap_or_default()
}
