//! Holds: what is kept back on an account until it is captured, released, or expires.

use std::collections::{BTreeMap, BTreeSet};

use shared::money::{Currency, Money, Units};
use shared::time::Timestamp;

use super::account::saturating_add;
use super::{AccountId, BatchId, Counted, Force, HoldId, Overrides, TransactionId};

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HoldState {
    Open,
    Captured,
    Released,
    Expired,
}

impl HoldState {
    /// The word for it in a refusal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Captured => "CAPTURED",
            Self::Released => "RELEASED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// A hold as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) id: HoldId,
    pub(crate) account: AccountId,
    pub(crate) destination: Option<AccountId>,
    pub(crate) kind: String,
    pub(crate) currency: Currency,
    /// What was authorised, increases included.
    pub(crate) amount: Units,
    /// How far captures may exceed it.
    pub(crate) over_capture: Units,
    /// What it keeps back.
    pub(crate) remaining: Units,
    pub(crate) captured: Units,
    pub(crate) released: Units,
    pub(crate) state: HoldState,
    pub(crate) expire_time: Option<Timestamp>,
    /// What limits have counted for it.
    pub(crate) counted: Vec<Counted>,
    /// How many events it has.
    pub(crate) event_seq: i32,
    pub(crate) create_time: Timestamp,
    pub(crate) record_time: Timestamp,
    pub(crate) description: String,
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) force: Option<Force>,
}

impl Hold {
    /// An amount of its currency.
    pub(crate) fn money(&self, units: Units) -> Money {
        Money { currency: self.currency, units }
    }

    /// Whether it keeps nothing back any more, by the clock.
    pub(crate) fn is_past(&self, now: Timestamp) -> bool {
        self.state == HoldState::Open && self.expire_time.is_some_and(|time| time <= now)
    }

    /// The hold as it stands now: an expiry that nobody has recorded yet holds all the same, and
    /// will be the next event.
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        if self.is_past(now) {
            self.give_up(self.remaining);
            self.state = HoldState::Expired;
            self.event_seq += 1;
        }
        self
    }

    /// Remembers what limits have counted for it, once for each step.
    pub(super) fn add_counted(&mut self, counted: Vec<Counted>) {
        for new in counted {
            let is_same = |old: &&mut Counted| old.key == new.key && old.begin == new.begin;
            match self.counted.iter_mut().find(is_same) {
                Some(old) => old.amount = saturating_add(old.amount, new.amount),
                None => self.counted.push(new),
            }
        }
    }

    /// Forgets what limits have counted for a part of it, the latest first, and the count too where
    /// it is over and nothing was captured; gives what they get back.
    pub(super) fn take_counted(&mut self, amount: Units) -> Vec<Counted> {
        let is_over = self.state != HoldState::Open && self.captured == Units::ZERO;
        let keys: BTreeSet<_> = self.counted.iter().map(|counted| counted.key.clone()).collect();
        let mut taken = Vec::with_capacity(self.counted.len());
        for key in keys {
            let mut left = amount;
            for counted in self.counted.iter_mut().rev().filter(|counted| counted.key == key) {
                let amount = counted.amount.min(left);
                let count = if is_over { std::mem::take(&mut counted.count) } else { 0 };
                left = left.checked_sub(amount).unwrap_or_default();
                counted.amount = counted.amount.checked_sub(amount).unwrap_or_default();
                taken.push(Counted { amount, count, ..counted.clone() });
            }
        }
        taken
    }

    /// Gives back an amount of what it keeps.
    pub(super) fn give_up(&mut self, amount: Units) {
        self.remaining = self.remaining.checked_sub(amount).unwrap_or_default();
        self.released = self.released.checked_add(amount).unwrap_or_default();
    }

    /// What captures may still take: what remains, and what is left of the excess that is allowed.
    /// Of an expired hold, what was authorised less what was captured.
    pub(super) fn capturable(&self) -> Units {
        let sum = |a: Units, b: Units| a.checked_add(b).unwrap_or(a);
        let all = sum(self.amount, self.over_capture);
        let gone = match self.state {
            HoldState::Expired => self.captured,
            _ => sum(self.captured, self.released),
        };
        all.checked_sub(gone).unwrap_or_default().max(Units::ZERO)
    }

    /// Records what happened.
    pub(super) fn event(
        &mut self,
        kind: HoldEventType,
        amount: Units,
        record_time: Timestamp,
    ) -> HoldEvent {
        self.event_seq += 1;
        self.record_time = record_time;
        HoldEvent {
            hold: self.id,
            seq: self.event_seq,
            kind,
            amount,
            remaining: self.remaining,
            transaction: None,
            expire_time: self.expire_time,
            overrides: Overrides::default(),
            reason: String::new(),
            record_time,
            batch: None,
        }
    }
}

/// What may happen to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HoldEventType {
    Created,
    Captured,
    Released,
    Extended,
    Increased,
    Expired,
}

/// Something that happened to a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldEvent {
    pub(crate) hold: HoldId,
    /// 1, 2, 3, without gaps.
    pub(crate) seq: i32,
    pub(crate) kind: HoldEventType,
    pub(crate) amount: Units,
    /// What the hold keeps back after it.
    pub(crate) remaining: Units,
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) expire_time: Option<Timestamp>,
    pub(crate) overrides: Overrides,
    /// Why it overrides rules. Why a capture does stands with its transaction.
    pub(crate) reason: String,
    pub(crate) record_time: Timestamp,
    /// The batch that it happened in, all or nothing, and its place there.
    pub(crate) batch: Option<(BatchId, i32)>,
}

impl HoldEvent {
    /// Says which rules it overrides, and why.
    pub(super) fn justify(&mut self, force: Option<&Force>) {
        if let Some(force) = force {
            self.overrides = force.overrides;
            self.reason.clone_from(&force.reason);
        }
    }
}
