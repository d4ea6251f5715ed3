//! An account of the ledger: its sides, its bound, and what is available.

use serde::Serialize;
use shared::money::{Currency, Money, Units};
use shared::time::{Day, Timestamp};

use super::{AccountId, Act, Controls, CustomerId, DayTotal};

/// A side of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Direction {
    /// The left side.
    Debit,
    /// The right side.
    Credit,
}

impl Direction {
    /// The word for it in a document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debit => "DEBIT",
            Self::Credit => "CREDIT",
        }
    }
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
    /// `None` for a house account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<AccountId>,
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
            customer: self.customer,
            parent: self.parent,
            close_time: None,
            next_expiry: None,
            excess: Units::ZERO,
            day: None,
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
    /// `None` for a house account.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) parent: Option<AccountId>,
    pub(crate) close_time: Option<Timestamp>,
    /// When the first of its open holds expires, or earlier.
    pub(crate) next_expiry: Option<Timestamp>,
    /// What overrides and lowered bounds let it exceed its bound by.
    pub(crate) excess: Units,
    /// What was posted on its latest day.
    pub(crate) day: Option<DayTotal>,
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

    /// Whether holds of it may have expired that nobody has recorded yet.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.next_expiry.is_some_and(|time| time <= now)
    }

    /// Whether anything counts what is posted on it.
    pub(crate) fn has_limits(&self) -> bool {
        self.controls.iter().any(|controls| !controls.limits.is_empty())
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
        match self.overdraft {
            Overdraft::Limit(limit) => Some(self.free(limit, self.blocked(now))),
            Overdraft::Unbounded => None,
        }
    }

    /// What is posted and neither held nor blocked, whatever the bound.
    pub(crate) fn own_available(&self, now: Timestamp) -> Units {
        self.free(Units::ZERO, self.blocked(now))
    }

    fn free(&self, limit: Units, blocked: Units) -> Units {
        let taken = saturating_add(self.held, blocked);
        // Four numbers of 38 digits fit into an i128 of 39 only if they are added with care.
        let free = self.posted().get().saturating_sub(taken.get()).saturating_add(limit.get());
        saturating(free)
    }

    /// What must be recorded as excess: how far the account is below its bound, blocks aside. It
    /// grows by an override alone; the database refuses an account that is further below.
    pub(crate) fn record_excess(&mut self, overridden: bool) {
        let Overdraft::Limit(limit) = self.overdraft else {
            return;
        };
        let below = saturating(-self.free(limit, Units::ZERO).get()).max(Units::ZERO);
        self.excess = if overridden { below } else { below.min(self.excess) };
    }

    /// What an entry on this side is to the account.
    pub(crate) fn act(&self, direction: Direction) -> Act {
        if direction == self.class.normal_side() { Act::Credit } else { Act::Debit }
    }

    /// Adds to one side, and gives false above 38 digits.
    pub(crate) fn add(&mut self, direction: Direction, amount: Units) -> bool {
        let side = match direction {
            Direction::Debit => &mut self.posted_debits,
            Direction::Credit => &mut self.posted_credits,
        };
        match side.checked_add(amount) {
            Some(sum) => *side = sum,
            None => return false,
        }
        true
    }

    /// Counts an amount on its day. What another day has to give up for it is for `day_totals`, as
    /// is the amount itself where it is not of the latest day.
    pub(crate) fn count_day(
        &mut self,
        booking: Day,
        value: Day,
        debits: Units,
        credits: Units,
    ) -> Option<DayTotal> {
        let new = DayTotal { booking, value, debits, credits };
        match &mut self.day {
            Some(day) if (day.booking, day.value) == (booking, value) => {
                day.debits = saturating_add(day.debits, debits);
                day.credits = saturating_add(day.credits, credits);
                None
            }
            Some(day) if booking != value || booking < day.booking => Some(new),
            None if booking != value => Some(new),
            latest => latest.replace(new),
        }
    }

    /// Lets a changed account be seen as such.
    pub(crate) fn touch(&mut self, record_time: Timestamp) {
        self.version += 1;
        self.record_time = record_time;
    }

    /// Has the account look for expired holds at this time, or earlier.
    pub(crate) fn expect_expiry(&mut self, time: Option<Timestamp>) {
        self.next_expiry = match (self.next_expiry, time) {
            (Some(next), Some(time)) => Some(next.min(time)),
            (next, time) => next.or(time),
        };
    }

    /// An amount of the account's currency.
    pub(crate) fn money(&self, units: Units) -> Money {
        Money { currency: self.currency, units }
    }
}

pub(super) fn saturating_add(a: Units, b: Units) -> Units {
    saturating(a.get().saturating_add(b.get()))
}

/// The nearest amount of 38 digits.
fn saturating(units: i128) -> Units {
    const MAX: i128 = 10_i128.pow(38) - 1;
    Units::new(units.clamp(-MAX, MAX)).unwrap_or_default()
}
