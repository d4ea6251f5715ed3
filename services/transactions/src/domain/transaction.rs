//! What is asked for when a transaction is posted, and the balance that it must have by itself.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::money::{Currency, Money, Units};
use shared::time::{Day, Timestamp};

use super::{
    AccountId, BatchId, Commitments, DESCRIPTION, Direction, FORCE_REASON, HoldId, Late, Link,
    RecordId, TransactionId,
};

/// Entries that one transaction may have.
pub(crate) const ENTRIES_MAX: usize = 1_000;

/// Entries that all items of one batch may have together.
pub(crate) const BATCH_ENTRIES_MAX: usize = 10_000;

/// An entry to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewEntry {
    pub(crate) account: AccountId,
    pub(crate) direction: Direction,
    /// Above zero.
    pub(crate) amount: Money,
    pub(crate) memo: String,
    /// The version that the account must have before the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_version: Option<i64>,
    /// What must be available after the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_available_after: Option<Money>,
}

impl NewEntry {
    /// An entry without a note and without conditions.
    pub(crate) fn plain(account: AccountId, direction: Direction, amount: Money) -> Self {
        let memo = String::new();
        Self { account, direction, amount, memo, expected_version: None, min_available_after: None }
    }
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
    // What came later is left out of the hash where it is absent: stored hashes stay good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) evidence: Vec<Evidence>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) external_ids: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) force: Option<Force>,
    /// The day that decides the period; that of the posting where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) booking_date: Option<Day>,
    #[serde(skip_serializing_if = "Late::is_default")]
    pub(crate) late: Late,
    /// The ledger that it is brought from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) import_source: Option<String>,
    /// Whether its caller may book where a period is closed softly.
    #[serde(skip)]
    pub(crate) books_soft_closed: bool,
}

impl NewTransaction {
    /// The rules that do not stand against it: what it brings from another ledger has happened.
    pub(crate) fn overrides(&self) -> Overrides {
        match (&self.import_source, &self.force) {
            (Some(_), _) => Overrides::of(Overrides::ALL),
            (None, Some(force)) => force.overrides,
            (None, None) => Overrides::default(),
        }
    }
}

/// A version of a record, which proves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    pub(crate) record: RecordId,
    pub(crate) version: i64,
}

/// A rule that a forced posting overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Override {
    Funds = 1,
    Limits = 2,
    Controls = 4,
    HoldExpired = 8,
}

/// A set of overrides; the numbers of its members, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Overrides(i16);

impl Overrides {
    /// All that there are.
    pub(crate) const ALL: [Override; 4] =
        [Override::Funds, Override::Limits, Override::Controls, Override::HoldExpired];

    /// The set of these.
    pub(crate) fn of(members: impl IntoIterator<Item = Override>) -> Self {
        Self(members.into_iter().fold(0, |sum, member| sum | member as i16))
    }

    /// The set with this number.
    pub(crate) fn from_number(number: i16) -> Self {
        Self(number)
    }

    /// The number; `None` for none.
    pub(crate) fn number(self) -> Option<i16> {
        (self.0 != 0).then_some(self.0)
    }

    /// Whether a rule is overridden.
    pub(crate) fn has(self, member: Override) -> bool {
        self.0 & member as i16 != 0
    }
}

/// What rules are overridden, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Force {
    pub(crate) overrides: Overrides,
    pub(crate) reason: String,
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

/// A transaction that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostedTransaction {
    pub(crate) id: TransactionId,
    pub(crate) kind: String,
    pub(crate) entries: Vec<PostedEntry>,
    pub(crate) description: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) effective_time: Timestamp,
    pub(crate) record_time: Timestamp,
    pub(crate) booking_date: Day,
    /// The day of the effective time.
    pub(crate) value_date: Day,
    /// The day of the record time.
    pub(crate) record_date: Day,
    /// The batch that it was posted with, all or nothing, and its place there.
    pub(crate) batch: Option<(BatchId, i32)>,
    pub(crate) links: Vec<Link>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) group_id: Option<String>,
    pub(crate) force: Option<Force>,
    pub(crate) reverses: Option<TransactionId>,
    pub(crate) hold: Option<HoldId>,
    pub(crate) import_source: Option<String>,
    /// To its texts.
    pub(crate) commitments: Commitments,
}

impl PostedTransaction {
    /// Whether it has what only some transactions have.
    pub(crate) fn has_attributes(&self) -> bool {
        !(self.labels.is_empty()
            && self.links.is_empty()
            && self.evidence.is_empty()
            && self.external_ids.is_empty()
            && self.texts().all(|(_, text)| text.is_empty()))
    }

    /// What people wrote about it: the texts, by their indexes.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (i32, &str)> {
        let reason = self.force.as_ref().map_or("", |force| force.reason.as_str());
        let own = [(FORCE_REASON, reason), (DESCRIPTION, self.description.as_str())];
        let memos = self.entries.iter().map(|entry| entry.entry.memo.as_str());
        own.into_iter().chain((0..).zip(memos))
    }
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
