//! Accounts as their holders know them. Money, bounds and controls are judged by the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::ids::{Id, Resource};
use shared::money::{Currency, Units};
use shared::time::Timestamp;

use super::codes::codes;
use super::customer::CustomerId;
use super::limit::Limit;
use super::transition::{NotAllowed, State};

/// The kind of an account's name.
pub(crate) enum AccountResource {}

impl Resource for AccountResource {
    const COLLECTION: &'static str = "accounts";
    const TYPE: &'static str = "account";
}

/// The id of an account, and of its ledger account in the transactions service.
pub(crate) type AccountId = Id<AccountResource>;

codes! {
    /// The class of an account decides its normal side.
    AccountClass {
        /// Normal side: debit.
        Asset = 1 "ASSET",
        /// Normal side: credit. A customer's money is a liability of the one who holds it.
        Liability = 2 "LIABILITY",
        /// Normal side: credit.
        Equity = 3 "EQUITY",
        /// Normal side: credit.
        Income = 4 "INCOME",
        /// Normal side: debit.
        Expense = 5 "EXPENSE",
    }
}

codes! {
    /// Where an account stands.
    AccountState {
        /// The ledger does not have it yet.
        Pending = 1 "PENDING",
        /// Money may move.
        Open = 2 "OPEN",
        /// Nothing has moved for long.
        Dormant = 3 "DORMANT",
        /// On its way to closed.
        Closing = 4 "CLOSING",
        /// For good, unless it is reopened in time.
        Closed = 5 "CLOSED",
    }
}

impl State for AccountState {
    const WHAT: &'static str = "account";
    const STATES: &'static [Self] = Self::ALL;

    fn label(self) -> &'static str {
        self.name()
    }

    /// A closing account opens again where the ledger says that something is posted or held.
    fn next(self) -> &'static [Self] {
        match self {
            Self::Pending | Self::Closed => &[Self::Open],
            Self::Open => &[Self::Dormant, Self::Closing],
            Self::Dormant => &[Self::Open, Self::Closing],
            Self::Closing => &[Self::Open, Self::Closed],
        }
    }
}

/// How far an account may fall below zero on its normal side, in its own currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Overdraft {
    /// At most this much, zero or above.
    Limit(Units),
    /// Without a bound, as control accounts need it.
    Unbounded,
}

/// What is asked for when an account is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewAccount {
    /// Who holds it; none for a house account.
    pub(crate) customer: Option<CustomerId>,
    /// The product that it is sold as.
    pub(crate) product: String,
    /// Its one currency.
    pub(crate) currency: Currency,
    /// Its class.
    pub(crate) class: AccountClass,
    /// The general ledger code that it rolls up to; may be empty.
    pub(crate) gl_code: String,
    /// How far it may fall below zero.
    pub(crate) overdraft: Overdraft,
    /// The account that it rolls up to, in its currency and of its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<AccountId>,
    /// The caller's own keys and values.
    pub(crate) labels: BTreeMap<String, String>,
    /// The caller's own ids of it, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) external_ids: BTreeMap<String, String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The id.
    pub(crate) id: AccountId,
    /// What was asked for.
    pub(crate) terms: NewAccount,
    /// Where it stands.
    pub(crate) state: AccountState,
    /// Counts its changes, from 1.
    pub(crate) version: i64,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
    /// What limits it, by amount, count and time.
    pub(crate) limits: Vec<Limit>,
    /// Counts the changes of what the ledger has to know, from 1: the registration.
    pub(crate) controls_version: i64,
    /// The last of them that the ledger has; 0 before the first.
    pub(crate) acknowledged_version: i64,
    /// Where what is left goes when it closes.
    pub(crate) disposition: Option<AccountId>,
    /// When it was closed.
    pub(crate) close_time: Option<Timestamp>,
}

impl Account {
    /// A new account, which the ledger does not have yet.
    pub(crate) fn new(id: AccountId, terms: NewAccount, now: Timestamp) -> Self {
        Self {
            id,
            terms,
            state: AccountState::Pending,
            version: 1,
            create_time: now,
            update_time: now,
            limits: Vec::new(),
            controls_version: 1,
            acknowledged_version: 0,
            disposition: None,
            close_time: None,
        }
    }

    /// Counts a change.
    pub(crate) fn change(&mut self, now: Timestamp) {
        self.version += 1;
        self.update_time = now;
    }

    /// PENDING to OPEN: the ledger has it.
    pub(crate) fn open(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(&[AccountState::Pending], AccountState::Open, now)
    }

    /// OPEN to DORMANT.
    pub(crate) fn mark_dormant(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(&[AccountState::Open], AccountState::Dormant, now)
    }

    /// DORMANT to OPEN.
    pub(crate) fn reactivate(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(&[AccountState::Dormant], AccountState::Open, now)
    }

    /// OPEN or DORMANT to CLOSING. What is left goes to the disposition.
    pub(crate) fn begin_closing(
        &mut self,
        disposition: Option<AccountId>,
        now: Timestamp,
    ) -> Result<(), NotAllowed> {
        let from = [AccountState::Open, AccountState::Dormant];
        self.turn(&from, AccountState::Closing, now)?;
        self.disposition = disposition;
        Ok(())
    }

    /// CLOSING to CLOSED: the ledger has closed it.
    pub(crate) fn close(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(&[AccountState::Closing], AccountState::Closed, now)?;
        self.close_time = Some(now);
        Ok(())
    }

    /// CLOSING to OPEN: the ledger has refused to close it.
    pub(crate) fn stay_open(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(&[AccountState::Closing], AccountState::Open, now)?;
        self.disposition = None;
        Ok(())
    }

    /// CLOSED to OPEN, no later than `window` after it was closed.
    pub(crate) fn reopen(&mut self, window: Duration, now: Timestamp) -> Result<(), NotAllowed> {
        if self.close_time.is_some_and(|closed| closed.plus(window) < now) {
            let (what, state) = (AccountState::WHAT, "CLOSED for longer than the window");
            return Err(NotAllowed { what, state, allowed: vec!["CLOSED within it"] });
        }
        self.turn(&[AccountState::Closed], AccountState::Open, now)?;
        (self.close_time, self.disposition) = (None, None);
        Ok(())
    }

    /// Turns from one of the states that an act is for to the next, as the table has it.
    fn turn(
        &mut self,
        from: &[AccountState],
        next: AccountState,
        now: Timestamp,
    ) -> Result<(), NotAllowed> {
        if !from.contains(&self.state) {
            return Err(self.state.not_allowed(from.iter().map(|state| state.name()).collect()));
        }
        self.state = self.state.to(next)?;
        self.change(now);
        Ok(())
    }

    /// Whether anything of it may change: not once it is closed, nor on its way there.
    pub(crate) fn allow_change(&self) -> Result<(), NotAllowed> {
        use AccountState::{Dormant, Open, Pending};
        let open = [Pending, Open, Dormant];
        if open.contains(&self.state) {
            return Ok(());
        }
        Err(self.state.not_allowed(open.iter().map(|state| state.name()).collect()))
    }

    /// Whether it may be frozen: until it is closed.
    pub(crate) fn allow_freeze(&self) -> Result<(), NotAllowed> {
        if self.state != AccountState::Closed {
            return Ok(());
        }
        let open = AccountState::ALL.iter().filter(|state| **state != AccountState::Closed);
        Err(self.state.not_allowed(open.map(|state| state.name()).collect()))
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> AccountPosition {
        AccountPosition { create_time: self.create_time, id: self.id }
    }
}

/// Whose the accounts are that a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// This customer's, as the customer of the account.
    Customer(CustomerId),
    /// Nobody: house accounts.
    House,
}

/// Which accounts a list shows: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AccountFilter {
    /// Whose they are.
    pub(crate) customer: Option<HeldBy>,
    /// Somebody who holds them now, in whatever role.
    pub(crate) holder: Option<CustomerId>,
    /// Their currency.
    pub(crate) currency: Option<Currency>,
    /// Where they stand.
    pub(crate) state: Option<AccountState>,
    /// The product that they are sold as.
    pub(crate) product: Option<String>,
    /// Ids of the caller's own, all of which they have.
    pub(crate) external_ids: BTreeMap<String, String>,
    /// Labels, all of which they have.
    pub(crate) labels: BTreeMap<String, String>,
}

impl AccountFilter {
    /// Whether it lets an account through. Who holds it is judged by whoever lists.
    pub(crate) fn fits(&self, account: &Account) -> bool {
        let has = |wanted: &BTreeMap<String, String>, has: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| has.get(key) == Some(value))
        };
        let terms = &account.terms;
        let is_of = |of: HeldBy| match of {
            HeldBy::Customer(id) => terms.customer == Some(id),
            HeldBy::House => terms.customer.is_none(),
        };
        self.customer.is_none_or(is_of)
            && self.currency.is_none_or(|currency| terms.currency == currency)
            && self.state.is_none_or(|state| account.state == state)
            && self.product.as_ref().is_none_or(|product| terms.product == *product)
            && has(&self.external_ids, &terms.external_ids)
            && has(&self.labels, &terms.labels)
    }
}

/// A place in the order of lists: the oldest first, and by id where two are of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AccountPosition {
    /// When the account was created.
    pub(crate) create_time: Timestamp,
    /// The account.
    pub(crate) id: AccountId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccountState::{Closed, Closing, Dormant, Open, Pending};

    #[test]
    fn every_state_can_be_reached_and_pending_is_only_the_first() {
        for state in AccountState::ALL {
            assert!(!state.next().contains(&Pending), "{state:?}");
            assert!(!state.next().contains(state), "{state:?}");
            let reached = AccountState::ALL.iter().any(|from| from.next().contains(state));
            assert_eq!(reached, *state != Pending, "{state:?}");
        }
    }

    #[test]
    fn an_account_closes_by_way_of_closing() {
        for state in [Pending, Open, Dormant, Closed] {
            let refused = state.to(Closed).unwrap_err();
            assert_eq!((refused.state, refused.allowed), (state.name(), vec!["CLOSING"]));
        }
        assert_eq!(Closing.to(Closed), Ok(Closed));
    }
}
