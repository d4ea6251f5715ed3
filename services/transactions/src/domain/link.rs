//! What a transaction is to earlier entries, and how much of them it takes.

use serde::Serialize;
use shared::money::{Money, Units};

use super::{AccountId, Direction, TransactionId};

/// What a transaction is to an earlier entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum LinkType {
    RefundOf,
    ChargebackOf,
    Corrects,
    FeeOf,
    ReversalOf,
}

/// An entry of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct EntryRef {
    pub(crate) transaction: TransactionId,
    /// The place in the transaction, from 0.
    pub(crate) index: i32,
}

/// Ties a transaction to an earlier entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Link {
    pub(crate) kind: LinkType,
    pub(crate) entry: EntryRef,
    /// How much of the entry, above zero.
    pub(crate) amount: Money,
}

/// An earlier entry, and what links have taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OriginalEntry {
    pub(crate) account: AccountId,
    pub(crate) direction: Direction,
    pub(crate) amount: Money,
    /// By refunds, chargebacks, corrections and reversals.
    pub(crate) taken: Units,
    pub(crate) fees: Units,
}

impl OriginalEntry {
    /// What links of a type may still take.
    pub(super) fn left(&self, kind: LinkType) -> Units {
        let taken = if kind == LinkType::FeeOf { self.fees } else { self.taken };
        self.amount.units.checked_sub(taken).unwrap_or_default()
    }

    /// Takes an amount of what is left.
    pub(super) fn take(&mut self, kind: LinkType, amount: Units) {
        let taken = if kind == LinkType::FeeOf { &mut self.fees } else { &mut self.taken };
        *taken = taken.checked_add(amount).unwrap_or(self.amount.units);
    }
}

/// An earlier transaction, as far as others may be linked to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Original {
    /// Whether it is a reversal itself.
    pub(crate) is_reversal: bool,
    /// By their places.
    pub(crate) entries: Vec<OriginalEntry>,
}

impl Original {
    /// One of its entries.
    pub(crate) fn entry(&self, index: i32) -> Option<&OriginalEntry> {
        self.entries.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn entry_mut(&mut self, index: i32) -> Option<&mut OriginalEntry> {
        self.entries.get_mut(usize::try_from(index).ok()?)
    }
}
