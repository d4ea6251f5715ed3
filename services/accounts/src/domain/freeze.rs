//! Freezes: orders that money stays where it is. They are a set, and their effect is the union, so
//! two authorities cannot undo each other.

use serde::{Deserialize, Serialize};
use shared::field::{Decoded, invalid};
use shared::ids::{Id, Resource};
use shared::money::Units;
use shared::time::Timestamp;

use super::account::AccountId;
use super::codes::codes;
use super::customer::CustomerId;
use super::transition::NotAllowed;

/// The kind of a freeze's id. Its name has what is frozen in front.
pub(crate) enum FreezeResource {}

impl Resource for FreezeResource {
    const COLLECTION: &'static str = "freezes";
    const TYPE: &'static str = "freeze";
}

/// The id of a freeze.
pub(crate) type FreezeId = Id<FreezeResource>;

codes! {
    /// What is forbidden on an account.
    Direction {
        /// What worsens the position: payments, holds, and captures of them.
        Debit = 1 "DEBIT",
        /// What betters it.
        Credit = 2 "CREDIT",
        /// Both.
        All = 3 "ALL",
    }
}

/// Where a freeze stands. It is judged by the clock, and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FreezeState {
    /// It holds.
    Active,
    /// Somebody lifted it.
    Lifted,
    /// It ended by the clock.
    Ended,
}

impl FreezeState {
    /// The name in the contract, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Lifted => "LIFTED",
            Self::Ended => "ENDED",
        }
    }
}

/// What is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Frozen {
    /// One account.
    Account(AccountId),
    /// All accounts of which a customer is an owner or a joint holder, future ones too.
    Customer(CustomerId),
}

impl Frozen {
    /// Reads the name of an account or a customer.
    pub(crate) fn parse_name(name: &str) -> Decoded<Self> {
        let account = AccountId::parse_name(name).map(Self::Account);
        let frozen = account.or_else(|_| CustomerId::parse_name(name).map(Self::Customer));
        frozen.map_err(|_| invalid("must be accounts/{uuid} or customers/{uuid}"))
    }

    /// The resource name.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Account(id) => id.name(),
            Self::Customer(id) => id.name(),
        }
    }
}

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Freeze {
    /// The id.
    pub(crate) id: FreezeId,
    /// What is frozen.
    pub(crate) of: Frozen,
    /// What is forbidden.
    pub(crate) direction: Direction,
    /// Sets apart this much of an account instead of everything, in its currency.
    pub(crate) amount: Option<Units>,
    /// Why, as a code.
    pub(crate) reason_code: String,
    /// Who ordered it.
    pub(crate) authority: String,
    /// The authority's reference; gone once the person is erased.
    pub(crate) case_reference: Option<String>,
    /// When it ends by itself.
    pub(crate) end_time: Option<Timestamp>,
    /// Lets holds that are open already be captured.
    pub(crate) honour_holds: bool,
    /// Who froze.
    pub(crate) principal: String,
    /// When it was ordered.
    pub(crate) create_time: Timestamp,
    /// Who lifted it, and when.
    pub(crate) lift: Option<(String, Timestamp)>,
    /// Counts its changes, from 1.
    pub(crate) version: i64,
}

impl Freeze {
    /// The resource name.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.of.name(), self.id.name())
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> FreezePosition {
        FreezePosition { create_time: self.create_time, id: self.id }
    }

    /// The state by the clock.
    pub(crate) fn state_at(&self, now: Timestamp) -> FreezeState {
        match (&self.lift, self.end_time) {
            (Some(_), _) => FreezeState::Lifted,
            (None, Some(end)) if end <= now => FreezeState::Ended,
            (None, _) => FreezeState::Active,
        }
    }

    /// Ends it now.
    pub(crate) fn lift(&mut self, principal: &str, now: Timestamp) -> Result<(), NotAllowed> {
        match self.state_at(now) {
            FreezeState::Active => {
                self.lift = Some((principal.to_owned(), now));
                self.version += 1;
                Ok(())
            }
            state => {
                let allowed = vec![FreezeState::Active.name()];
                Err(NotAllowed { what: "freeze", state: state.name(), allowed })
            }
        }
    }
}

/// Reads the name of a freeze, which has what is frozen in front.
pub(crate) fn parse_freeze_name(name: &str) -> Decoded<(Frozen, FreezeId)> {
    let parse = || {
        let (of, id) = name.split_once("/freezes/")?;
        let id = FreezeId::parse_chosen(id).ok().flatten()?;
        Some((Frozen::parse_name(of).ok()?, id))
    };
    let sentence = "must be accounts/{uuid}/freezes/{uuid} or customers/{uuid}/freezes/{uuid}";
    parse().ok_or_else(|| invalid(sentence))
}

/// A place in the order of lists: the latest first, and by id where two are of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreezePosition {
    /// When it was ordered.
    pub(crate) create_time: Timestamp,
    /// The freeze.
    pub(crate) id: FreezeId,
}
