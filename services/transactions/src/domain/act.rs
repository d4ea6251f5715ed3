//! What may be asked of the engine, and what comes of it.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::money::Money;
use shared::time::Timestamp;

use super::{AccountId, Force, Hold, HoldId, NewTransaction, PostedTransaction, TransactionId};

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Order {
    Reverse(Reversal),
    Hold(NewHold),
    Capture(Capture),
    Release(Release),
    Extend(Extend),
    Increase(Increase),
    /// Untagged, as it was when there was nothing else: stored hashes of requests stay good.
    #[serde(untagged)]
    Post(NewTransaction),
}

impl Order {
    /// The transaction that it posts, as far as it is known.
    pub(crate) fn draft(&self) -> Option<&NewTransaction> {
        match self {
            Self::Post(draft) => Some(draft),
            Self::Reverse(reversal) => Some(&reversal.draft),
            Self::Capture(capture) => Some(&capture.draft),
            Self::Hold(_) | Self::Release(_) | Self::Extend(_) | Self::Increase(_) => None,
        }
    }

    /// The same, to be completed.
    pub(crate) fn draft_mut(&mut self) -> Option<&mut NewTransaction> {
        match self {
            Self::Post(draft) => Some(draft),
            Self::Reverse(reversal) => Some(&mut reversal.draft),
            Self::Capture(capture) => Some(&mut capture.draft),
            Self::Hold(_) | Self::Release(_) | Self::Extend(_) | Self::Increase(_) => None,
        }
    }

    /// The hold that it is about, if that is there already.
    pub(crate) fn hold(&self) -> Option<HoldId> {
        match self {
            Self::Capture(capture) => Some(capture.hold),
            Self::Release(release) => Some(release.hold),
            Self::Extend(extend) => Some(extend.hold),
            Self::Increase(increase) => Some(increase.hold),
            Self::Post(_) | Self::Reverse(_) | Self::Hold(_) => None,
        }
    }

    /// Why it overrides rules, where it does.
    pub(crate) fn force(&self) -> Option<&Force> {
        match self {
            Self::Hold(hold) => hold.force.as_ref(),
            Self::Increase(increase) => increase.force.as_ref(),
            other => other.draft().and_then(|draft| draft.force.as_ref()),
        }
    }

    /// The transactions that must be there already.
    pub(crate) fn originals(&self) -> impl Iterator<Item = TransactionId> {
        let reversed = match self {
            Self::Reverse(reversal) => Some(reversal.original),
            _ => None,
        };
        let links = self.draft().map_or(&[][..], |draft| &draft.links);
        reversed.into_iter().chain(links.iter().map(|link| link.entry.transaction))
    }

    /// The accounts that it names.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        let entries = self.draft().map_or(&[][..], |draft| &draft.entries);
        let hold = match self {
            Self::Hold(hold) => [Some(hold.account), hold.destination],
            _ => [None, None],
        };
        entries.iter().map(|entry| entry.account).chain(hold.into_iter().flatten())
    }

    /// Whether it can be decided by its accounts alone.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |draft: &NewTransaction| {
            draft.id.is_none() && draft.links.is_empty() && draft.external_ids.is_empty()
        };
        matches!(self, Self::Post(draft) if plain(draft))
    }

    /// What of a lane's room it takes: its entries, or as much as a transfer.
    pub(crate) fn weight(&self) -> usize {
        self.draft().map_or(0, |draft| draft.entries.len()).max(2)
    }
}

/// The opposite of a transaction, or of parts of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reversal {
    pub(crate) original: TransactionId,
    /// Everything where there is none.
    pub(crate) parts: Vec<Part>,
    /// All but the entries, which the original decides.
    pub(crate) draft: NewTransaction,
}

/// A part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    pub(crate) index: i32,
    pub(crate) amount: Money,
}

/// A hold that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewHold {
    pub(crate) id: Option<HoldId>,
    pub(crate) account: AccountId,
    pub(crate) destination: Option<AccountId>,
    pub(crate) amount: Money,
    pub(crate) over_capture: Option<Money>,
    pub(crate) kind: String,
    pub(crate) expire_time: Option<Timestamp>,
    pub(crate) description: String,
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) force: Option<Force>,
}

/// A capture that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Capture {
    pub(crate) hold: HoldId,
    pub(crate) what: What,
    pub(crate) keep_open: bool,
    /// Its entries are those of the capture, where it brings its own.
    pub(crate) draft: NewTransaction,
}

/// What a capture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum What {
    /// All that remains goes to the destination.
    Remaining,
    /// This goes to the destination.
    Amount(Money),
    /// What its entries say.
    Entries,
}

/// A release that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Release {
    pub(crate) hold: HoldId,
    /// All that remains where it is absent.
    pub(crate) amount: Option<Money>,
}

/// A later expiry that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Extend {
    pub(crate) hold: HoldId,
    /// Never where it is absent.
    pub(crate) expire_time: Option<Timestamp>,
}

/// A larger hold that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Increase {
    pub(crate) hold: HoldId,
    pub(crate) amount: Money,
    pub(crate) force: Option<Force>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    Transaction(Box<PostedTransaction>),
    Hold(Box<Hold>),
    Capture(Box<Hold>, Box<PostedTransaction>),
}

impl Made {
    /// What was posted.
    pub(crate) fn transaction(&self) -> Option<&PostedTransaction> {
        match self {
            Self::Transaction(posted) | Self::Capture(_, posted) => Some(posted),
            Self::Hold(_) => None,
        }
    }
}
