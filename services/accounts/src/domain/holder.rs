//! Who holds an account, as what, and when.

use serde::{Deserialize, Serialize};
use shared::field::{Decoded, invalid};
use shared::time::Timestamp;

use super::account::AccountId;
use super::codes::codes;
use super::customer::CustomerId;
use super::relationship::Span;
use super::transition::NotAllowed;

/// Holders that one account may have at once, those to come included.
pub(crate) const HOLDERS_MAX: usize = 32;
/// Those of them whose own state stops the account: owners and joint holders.
pub(crate) const PRINCIPALS_MAX: usize = 4;

codes! {
    /// As what somebody holds an account.
    Role {
        /// It is theirs.
        Owner = 1 "OWNER",
        /// It is theirs together with the owner.
        Joint = 2 "JOINT",
        /// They see it.
        Viewer = 3 "VIEWER",
    }
}

impl Role {
    /// Whether what stops the holder stops the account.
    pub(crate) fn is_principal(self) -> bool {
        matches!(self, Self::Owner | Self::Joint)
    }
}

/// Somebody who holds an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The account.
    pub(crate) account: AccountId,
    /// Who.
    pub(crate) customer: CustomerId,
    /// As what.
    pub(crate) role: Role,
    /// When.
    pub(crate) span: Span,
    /// When it was recorded.
    pub(crate) create_time: Timestamp,
}

impl Holder {
    /// The customer of an account, who is its first owner for as long as there is the account.
    pub(crate) fn first(account: AccountId, customer: CustomerId, now: Timestamp) -> Self {
        let span = Span { start: now, end: None };
        Self { account, customer, role: Role::Owner, span, create_time: now }
    }

    /// The resource name.
    pub(crate) fn name(self) -> String {
        holder_name(self.account, self.customer)
    }

    /// Whether it is over by now, and so cannot change.
    pub(crate) fn allow_change(&self, now: Timestamp) -> Result<(), NotAllowed> {
        if self.span.is_over(now) {
            return Err(NotAllowed { what: "holder", state: "ENDED", allowed: vec!["CURRENT"] });
        }
        Ok(())
    }

    /// Ends it now; before it begins where it has not begun.
    pub(crate) fn remove(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.allow_change(now)?;
        self.span.end = Some(now.max(self.span.start));
        Ok(())
    }

    /// Whether what stops the account is another matter since it was like this.
    pub(crate) fn stops_otherwise_than(&self, before: Self) -> bool {
        let stops = |holder: Self| holder.role.is_principal().then_some(holder.span);
        stops(*self) != stops(before)
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> HolderPosition {
        HolderPosition { create_time: self.create_time, customer: self.customer }
    }
}

/// The name of somebody who holds an account.
pub(crate) fn holder_name(account: AccountId, customer: CustomerId) -> String {
    format!("{}/holders/{}", account.name(), customer.uuid())
}

/// Reads `accounts/{uuid}/holders/{uuid}`.
pub(crate) fn parse_holder_name(name: &str) -> Decoded<(AccountId, CustomerId)> {
    let parse = || {
        let (account, customer) = name.split_once("/holders/")?;
        let customer = CustomerId::parse_chosen(customer).ok().flatten()?;
        Some((AccountId::parse_name(account).ok()?, customer))
    };
    parse().ok_or_else(|| invalid("must be accounts/{uuid}/holders/{uuid}"))
}

/// A place in the order of lists: the oldest first, and by id where two are of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct HolderPosition {
    /// When it was recorded.
    pub(crate) create_time: Timestamp,
    /// Who.
    pub(crate) customer: CustomerId,
}
