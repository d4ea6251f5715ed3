//! What does not match in the books, and what becomes of it.

use std::collections::BTreeSet;

use shared::time::Timestamp;

use super::{AccountId, Block, Controls, Effect, LedgerAccount, MismatchId, merge};

/// The source of the auditor's controls.
pub(crate) const AUDITOR: &str = "auditor";

/// Why the auditor blocks an account.
const REASON_CODE: &str = "BOOKS_MISMATCH";

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Check {
    Balance,
    RunningBalance,
    EntrySeq,
    DayTotals,
    Held,
    ZeroSum,
    Leaf,
    Log,
}

impl Check {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 8] = [
        Self::Balance,
        Self::RunningBalance,
        Self::EntrySeq,
        Self::DayTotals,
        Self::Held,
        Self::ZeroSum,
        Self::Leaf,
        Self::Log,
    ];

    /// Its number in the table.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Balance => 1,
            Self::RunningBalance => 2,
            Self::EntrySeq => 3,
            Self::DayTotals => 4,
            Self::Held => 5,
            Self::ZeroSum => 6,
            Self::Leaf => 7,
            Self::Log => 8,
        }
    }

    /// The one with a number.
    pub(crate) fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.number() == number)
    }

    /// Its word in the contract, without the prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Balance => "BALANCE",
            Self::RunningBalance => "RUNNING_BALANCE",
            Self::EntrySeq => "ENTRY_SEQ",
            Self::DayTotals => "DAY_TOTALS",
            Self::Held => "HELD",
            Self::ZeroSum => "ZERO_SUM",
            Self::Leaf => "LEAF",
            Self::Log => "LOG",
        }
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: Check,
    /// What it is about: `accounts/{uuid}`, `transactions/{uuid}` or `leaves/{index}`.
    pub(crate) resource: String,
    /// What the rows say that are checked.
    pub(crate) found: String,
    /// What they should say.
    pub(crate) expected: String,
    /// The accounts that it casts doubt on.
    pub(crate) accounts: BTreeSet<AccountId>,
}

impl Finding {
    /// A finding about one account.
    pub(crate) fn of_account(
        check: Check,
        account: AccountId,
        found: String,
        expected: String,
    ) -> Self {
        let accounts = BTreeSet::from([account]);
        Self { check, resource: account.name(), found, expected, accounts }
    }
}

/// A finding that the auditor has written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) id: MismatchId,
    pub(crate) finding: Finding,
    pub(crate) create_time: Timestamp,
    pub(crate) resolution: Option<Resolution>,
}

/// How a mismatch was dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub(crate) time: Timestamp,
    pub(crate) code: String,
    pub(crate) resolver: String,
}

impl LedgerAccount {
    /// Has the auditor block the account, or lift its block. Gives whether that changes anything.
    /// One that other sources leave no room is blocked all the same: what is wrong comes first.
    pub(crate) fn set_audit_block(&mut self, blocks: bool, now: Timestamp) -> bool {
        let old = self.controls.iter().find(|controls| controls.source == AUDITOR);
        let is_blocked = old.is_some_and(|old| !old.blocks.is_empty());
        if is_blocked == blocks {
            return false;
        }
        let block = || Block {
            effect: Effect::All,
            amount: None,
            start: None,
            end: None,
            reason_code: REASON_CODE.to_owned(),
            honour_holds: false,
        };
        let new = Controls {
            source: AUDITOR.to_owned(),
            version: old.map_or(0, |old| old.version) + 1,
            blocks: if blocks { vec![block()] } else { Vec::new() },
            limits: Vec::new(),
            timeline: None,
        };
        merge(&mut self.controls, new);
        self.touch(now.max(self.record_time.next()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_number() {
        for (number, check) in (1..).zip(Check::ALL) {
            assert_eq!(Check::from_number(number), Some(check));
            assert_eq!(check.number(), number);
        }
        assert_eq!(Check::from_number(0), None);
        assert_eq!(Check::from_number(9), None);
    }
}
