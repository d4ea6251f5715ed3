//! Controls: what each source forbids on an account. They are full state, kept by source, and their
//! effect is the union, so that nobody lifts what another has imposed.

use serde::{Deserialize, Serialize};
use shared::money::Units;
use shared::time::Timestamp;

use super::Direction;
use super::account::LedgerAccount;

/// Blocks that one source may have on one account.
pub(crate) const BLOCKS_MAX: usize = 64;

/// Sources that one account may have.
pub(crate) const SOURCES_MAX: usize = 16;

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

/// Forbids one direction, or sets an amount apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) effect: Effect,
    /// Sets apart this much instead of everything.
    pub(crate) amount: Option<Units>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) reason_code: String,
}

impl Block {
    /// Whether it is in force: from its start until just before its end.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }

    fn forbids(&self, worsens: bool) -> bool {
        let effect = match self.effect {
            Effect::All => true,
            Effect::Debit => worsens,
            Effect::Credit => !worsens,
        };
        effect && self.amount.is_none()
    }
}

/// What one source forbids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Controls {
    pub(crate) source: String,
    /// Grows with every change by the source.
    pub(crate) version: i64,
    pub(crate) blocks: Vec<Block>,
}

/// Replaces the controls of one source; false where they are not newer than those in force, so that
/// deliveries may repeat and overtake each other.
pub(crate) fn merge(all: &mut Vec<Controls>, new: Controls) -> bool {
    match all.iter_mut().find(|controls| controls.source == new.source) {
        Some(old) if old.version >= new.version => return false,
        Some(old) => *old = new,
        None => {
            all.push(new);
            all.sort_by(|a, b| a.source.cmp(&b.source));
        }
    }
    true
}

impl LedgerAccount {
    /// The source and the reason of a block that forbids an entry on this side now.
    pub(crate) fn blocked_by(&self, direction: Direction, now: Timestamp) -> Option<(&str, &str)> {
        let worsens = self.is_worsened_by(direction);
        self.controls.iter().find_map(|controls| {
            let block = controls.blocks.iter().find(|b| b.holds_at(now) && b.forbids(worsens))?;
            Some((controls.source.as_str(), block.reason_code.as_str()))
        })
    }
}
