//! Customers: ids and states. Who they are is a `Profile`, which this service does not keep.

use std::collections::BTreeMap;

use shared::ids::{Id, Resource};
use shared::time::Timestamp;
use uuid::Uuid;

use super::codes::codes;
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
        /// Its subject or its profile is not there yet.
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
    /// The caller's own keys and values.
    pub(crate) labels: BTreeMap<String, String>,
    /// Counts its changes, from 1.
    pub(crate) version: i64,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
}

impl Customer {
    /// A new customer, whose subject and profile are not there yet.
    pub(crate) fn new(
        id: CustomerId,
        kind: CustomerKind,
        labels: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        let state = CustomerState::Pending;
        Self { id, kind, state, labels, version: 1, create_time: now, update_time: now }
    }

    /// The id of the record that holds the profile: the same at every attempt.
    pub(crate) fn profile_record(&self) -> Uuid {
        Uuid::new_v5(&PROFILES, self.id.uuid().as_bytes())
    }

    /// Says that subject and profile are there.
    pub(crate) fn activate(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        self.state = self.state.to(CustomerState::Active)?;
        self.version += 1;
        self.update_time = now;
        Ok(())
    }

    /// Whether an account may be opened for it.
    pub(crate) fn allow_account(&self) -> Result<(), NotAllowed> {
        match self.state {
            CustomerState::Active => Ok(()),
            state => Err(state.not_allowed(vec![CustomerState::Active.name()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CustomerState::{Active, Closed, Pending, Suspended};

    fn customer(state: CustomerState) -> Customer {
        let now = Timestamp::from_micros(1);
        let id = CustomerId::from_uuid(Uuid::nil());
        Customer { state, ..Customer::new(id, CustomerKind::Person, BTreeMap::new(), now) }
    }

    #[test]
    fn closed_is_for_good_and_nothing_returns_to_pending() {
        assert!(Closed.next().is_empty());
        for state in CustomerState::ALL {
            assert!(!state.next().contains(&Pending), "{state:?}");
            assert!(!state.next().contains(state), "{state:?}");
            assert_eq!(state.to(Closed).is_ok(), *state != Closed, "{state:?}");
        }
    }

    #[test]
    fn what_is_not_allowed_says_what_would_be() {
        let refused = customer(Closed).activate(Timestamp::from_micros(2)).unwrap_err();
        assert_eq!(refused.state, "CLOSED");
        assert_eq!(refused.allowed, ["PENDING", "SUSPENDED"]);
    }

    #[test]
    fn a_change_counts() {
        let mut customer = customer(Pending);
        customer.activate(Timestamp::from_micros(2)).unwrap();
        assert_eq!((customer.state, customer.version), (Active, 2));
        assert!(customer.update_time > customer.create_time);
        assert!(customer.activate(Timestamp::from_micros(3)).is_err());
        assert_eq!(customer.version, 2);
    }

    #[test]
    fn accounts_are_for_active_customers() {
        for state in CustomerState::ALL {
            assert_eq!(customer(*state).allow_account().is_ok(), *state == Active, "{state:?}");
        }
        assert_eq!(customer(Suspended).allow_account().unwrap_err().allowed, ["ACTIVE"]);
    }

    #[test]
    fn the_record_of_a_profile_follows_from_the_customer() {
        let (one, same) = (customer(Pending), customer(Closed));
        assert_eq!(one.profile_record(), same.profile_record());
        let other = Customer { id: CustomerId::generate(), ..customer(Pending) };
        assert_ne!(one.profile_record(), other.profile_record());
    }
}
