//! Customers: ids and states. Who they are is a `Profile`, which this service does not keep.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::filter::Period;
use shared::ids::{Id, Resource};
use shared::time::Timestamp;
use uuid::Uuid;

use super::codes::codes;
use super::kyc::{Kyc, KycState, KycStep};
use super::transition::{NotAllowed, State};

/// Names of profiles made from the ids of customers (RFC 9562, version 5).
const PROFILES: Uuid = Uuid::from_u128(0x5b6f_2c5e_0d1c_4e57_9a3c_8f0d_64b1_7e29);

/// The kind of a customer's name.
pub(crate) enum CustomerResource {}

impl Resource for CustomerResource {
    const COLLECTION: &'static str = "customers";
    const TYPE: &'static str = "customer";
}

/// The id of a customer, and of its subject in the records service.
pub(crate) type CustomerId = Id<CustomerResource>;

codes! {
    /// A person or an organisation.
    CustomerKind {
        /// A natural person.
        Person = 1 "PERSON",
        /// A legal person.
        Organisation = 2 "ORGANISATION",
    }
}

codes! {
    /// Where a customer stands.
    CustomerState {
        /// Its subject or its profile is not there yet, or it waits for its activation.
        Pending = 1 "PENDING",
        /// Everything that its verification allows.
        Active = 2 "ACTIVE",
        /// Nothing moves.
        Suspended = 3 "SUSPENDED",
        /// For good.
        Closed = 4 "CLOSED",
    }
}

impl State for CustomerState {
    const WHAT: &'static str = "customer";
    const STATES: &'static [Self] = Self::ALL;

    fn label(self) -> &'static str {
        self.name()
    }

    fn next(self) -> &'static [Self] {
        match self {
            Self::Pending | Self::Suspended => &[Self::Active, Self::Closed],
            Self::Active => &[Self::Suspended, Self::Closed],
            Self::Closed => &[],
        }
    }
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Customer {
    /// The id.
    pub(crate) id: CustomerId,
    /// A person or an organisation.
    pub(crate) kind: CustomerKind,
    /// Where it stands.
    pub(crate) state: CustomerState,
    /// What is known about who it is.
    pub(crate) kyc: Kyc,
    /// The version of its profile that was sealed last; 0 before the first.
    pub(crate) profile_version: i64,
    /// The caller's own keys and values.
    pub(crate) labels: BTreeMap<String, String>,
    /// The caller's own ids of it, by kind.
    pub(crate) external_ids: BTreeMap<String, String>,
    /// Counts its changes, from 1.
    pub(crate) version: i64,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
    /// When it was closed.
    pub(crate) close_time: Option<Timestamp>,
    /// When what people wrote of it was redacted, because its subject is erased.
    pub(crate) erase_time: Option<Timestamp>,
}

impl Customer {
    /// A new customer, whose subject and profile are not there yet.
    pub(crate) fn new(
        id: CustomerId,
        kind: CustomerKind,
        labels: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            state: CustomerState::Pending,
            kyc: Kyc::NONE,
            profile_version: 0,
            labels,
            external_ids: BTreeMap::new(),
            version: 1,
            create_time: now,
            update_time: now,
            close_time: None,
            erase_time: None,
        }
    }

    /// The id of the record that holds the profile: the same at every attempt.
    pub(crate) fn profile_record(&self) -> Uuid {
        Uuid::new_v5(&PROFILES, self.id.uuid().as_bytes())
    }

    /// Counts a change.
    pub(crate) fn change(&mut self, now: Timestamp) {
        self.version += 1;
        self.update_time = now;
    }

    /// PENDING to ACTIVE.
    pub(crate) fn activate(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(CustomerState::Pending, CustomerState::Active, now)
    }

    /// ACTIVE to SUSPENDED.
    pub(crate) fn suspend(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(CustomerState::Active, CustomerState::Suspended, now)
    }

    /// SUSPENDED to ACTIVE.
    pub(crate) fn reinstate(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.turn(CustomerState::Suspended, CustomerState::Active, now)
    }

    /// To CLOSED, for good. Whoever closes it makes sure that it holds no open account.
    pub(crate) fn close(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.state = self.state.to(CustomerState::Closed)?;
        self.close_time = Some(now);
        self.change(now);
        Ok(())
    }

    /// Turns from the one state that an act is for to the next, as the table has it.
    fn turn(
        &mut self,
        from: CustomerState,
        next: CustomerState,
        now: Timestamp,
    ) -> Result<(), NotAllowed> {
        if self.state != from {
            return Err(self.state.not_allowed(vec![from.name()]));
        }
        self.state = self.state.to(next)?;
        self.change(now);
        Ok(())
    }

    /// Takes a step of the verification.
    pub(crate) fn verify(&mut self, step: KycStep, now: Timestamp) -> Result<(), NotAllowed> {
        self.allow_change()?;
        self.kyc = self.kyc.step(step, now)?;
        self.change(now);
        Ok(())
    }

    /// Whether anything of it may change.
    pub(crate) fn allow_change(&self) -> Result<(), NotAllowed> {
        let is_open = |state: &&CustomerState| **state != CustomerState::Closed;
        match self.state {
            CustomerState::Closed => {
                let open = CustomerState::ALL.iter().filter(is_open);
                Err(self.state.not_allowed(open.map(|state| state.name()).collect()))
            }
            _ => Ok(()),
        }
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> CustomerPosition {
        CustomerPosition { create_time: self.create_time, id: self.id }
    }

    /// Whether an account may be opened for it.
    pub(crate) fn allow_account(&self) -> Result<(), NotAllowed> {
        match self.state {
            CustomerState::Active => Ok(()),
            state => Err(state.not_allowed(vec![CustomerState::Active.name()])),
        }
    }
}

/// Which customers a list shows: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CustomerFilter {
    /// Persons or organisations.
    pub(crate) kind: Option<CustomerKind>,
    /// Where they stand.
    pub(crate) state: Option<CustomerState>,
    /// Where their verifications stand, by the clock.
    pub(crate) kyc_state: Option<KycState>,
    /// Ids of the caller's own, all of which they have.
    pub(crate) external_ids: BTreeMap<String, String>,
    /// Labels, all of which they have.
    pub(crate) labels: BTreeMap<String, String>,
    /// When they were created.
    pub(crate) period: Period,
}

impl CustomerFilter {
    /// Whether it lets a customer through.
    pub(crate) fn fits(&self, customer: &Customer, now: Timestamp) -> bool {
        let has = |wanted: &BTreeMap<String, String>, has: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| has.get(key) == Some(value))
        };
        let Period { from, before } = self.period;
        self.kind.is_none_or(|kind| customer.kind == kind)
            && self.state.is_none_or(|state| customer.state == state)
            && self.kyc_state.is_none_or(|state| customer.kyc.state_at(now) == state)
            && from.is_none_or(|from| from <= customer.create_time)
            && before.is_none_or(|before| customer.create_time < before)
            && has(&self.external_ids, &customer.external_ids)
            && has(&self.labels, &customer.labels)
    }
}

/// A place in the order of lists: the oldest first, and by id where two are of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CustomerPosition {
    /// When the customer was created.
    pub(crate) create_time: Timestamp,
    /// The customer.
    pub(crate) id: CustomerId,
}
