//! Controls: what each source forbids on an account. They are full state, kept by source, and their
//! effect is the union, so that nobody lifts what another has imposed.

use serde::{Deserialize, Serialize};
use shared::money::Units;
use shared::time::Timestamp;
use uuid::Uuid;

use super::Limit;
use super::account::LedgerAccount;

/// Blocks that one source may have on one account.
pub(crate) const BLOCKS_MAX: usize = 64;

/// Limits that one source may have on one account.
pub(crate) const LIMITS_MAX: usize = 32;

/// Sources that one account may have.
pub(crate) const SOURCES_MAX: usize = 16;

/// What a posting is to one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// It worsens the position.
    Debit,
    /// It betters the position.
    Credit,
    /// It keeps something back.
    Hold,
    /// It takes what is kept back.
    Capture,
}

impl Act {
    /// The word for it in a refusal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debit => "DEBIT",
            Self::Credit => "CREDIT",
            Self::Hold => "HOLD",
            Self::Capture => "CAPTURE",
        }
    }
}

/// What a block forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// What worsens the account's position.
    Debit,
    /// What betters it.
    Credit,
    /// Both.
    All,
}

impl Effect {
    /// The table of what each effect is about: a hold and its capture are debits. Release and
    /// expiry are about nothing, so they always pass.
    pub(crate) fn is_about(self, act: Act) -> bool {
        match self {
            Self::All => true,
            Self::Debit => matches!(act, Act::Debit | Act::Hold | Act::Capture),
            Self::Credit => act == Act::Credit,
        }
    }
}

/// Forbids one direction, or sets an amount apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) effect: Effect,
    /// Sets apart this much instead of everything.
    pub(crate) amount: Option<Units>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) reason_code: String,
    /// Lets holds that are open already be captured.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) honour_holds: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Block {
    /// Whether it is in force: from its start until just before its end.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }

    fn forbids(&self, act: Act) -> bool {
        let honoured = self.honour_holds && act == Act::Capture;
        self.amount.is_none() && self.effect.is_about(act) && !honoured
    }
}

/// What one source forbids and limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Controls {
    pub(crate) source: String,
    /// Grows with every change by the source.
    pub(crate) version: i64,
    pub(crate) blocks: Vec<Block>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) limits: Vec<Limit>,
    /// The timeline of the source's database, where it has one: versions count within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<Uuid>,
}

/// Replaces the controls of one source; false where they are not newer than those in force, so that
/// deliveries may repeat and overtake each other. Timelines sort by when they began.
pub(crate) fn merge(all: &mut Vec<Controls>, new: Controls) -> bool {
    match all.iter_mut().find(|controls| controls.source == new.source) {
        Some(old) if (old.timeline, old.version) >= (new.timeline, new.version) => return false,
        Some(old) => *old = new,
        None => {
            all.push(new);
            all.sort_by(|a, b| a.source.cmp(&b.source));
        }
    }
    true
}

impl LedgerAccount {
    /// The source and the reason of a block that forbids an act now.
    pub(crate) fn blocked_by(&self, act: Act, now: Timestamp) -> Option<(&str, &str)> {
        self.controls.iter().find_map(|controls| {
            let block = controls.blocks.iter().find(|b| b.holds_at(now) && b.forbids(act))?;
            Some((controls.source.as_str(), block.reason_code.as_str()))
        })
    }

    /// The same, with the blocks for one reason left aside.
    pub(crate) fn blocked_but_for(
        &self,
        reason_code: &str,
        act: Act,
        now: Timestamp,
    ) -> Option<(&str, &str)> {
        self.controls.iter().find_map(|controls| {
            let other = |b: &&Block| b.reason_code != reason_code;
            let mut others = controls.blocks.iter().filter(other);
            let block = others.find(|b| b.holds_at(now) && b.forbids(act))?;
            Some((controls.source.as_str(), block.reason_code.as_str()))
        })
    }
}
