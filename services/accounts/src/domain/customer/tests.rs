//! What may become of customers.

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
fn only_a_pending_customer_is_activated() {
    for state in CustomerState::ALL {
        let mut customer = customer(*state);
        let acted = customer.activate(Timestamp::from_micros(2));
        assert_eq!(acted.is_ok(), *state == Pending, "{state:?}");
        match acted {
            Ok(()) => assert_eq!((customer.state, customer.version), (Active, 2)),
            Err(refused) => {
                assert_eq!((refused.state, refused.allowed), (state.name(), vec!["PENDING"]));
                assert_eq!((customer.state, customer.version), (*state, 1));
            }
        }
    }
}

#[test]
fn what_is_closed_changes_no_more() {
    for state in CustomerState::ALL {
        let step = customer(*state).verify(KycStep::Submit, Timestamp::from_micros(2));
        assert_eq!(step.is_ok(), *state != Closed, "{state:?}");
    }
    let refused = customer(Closed).allow_change().unwrap_err();
    assert_eq!(refused.allowed, ["PENDING", "ACTIVE", "SUSPENDED"]);
}

#[test]
fn a_filter_judges_verifications_by_the_clock() {
    let end = Timestamp::from_micros(10);
    let kyc = Kyc { state: KycState::Approved, expire_time: Some(end), ..Kyc::NONE };
    let customer = Customer { kyc, ..customer(Active) };
    let of = |state| CustomerFilter { kyc_state: Some(state), ..CustomerFilter::default() };
    for (now, state) in [(9, KycState::Approved), (10, KycState::Expired)] {
        for other in KycState::ALL {
            let fits = of(*other).fits(&customer, Timestamp::from_micros(now));
            assert_eq!(fits, *other == state, "{other:?} at {now}");
        }
    }
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
