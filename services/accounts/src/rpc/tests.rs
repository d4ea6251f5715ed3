//! The numbers and names of the domain are those of the contract.

use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1 as ledger;

use crate::domain::{AccountClass, AccountState, CustomerKind, CustomerState};

macro_rules! assert_same {
    ($domain:ty, $wire:ty, $prefix:literal) => {
        for number in 0..100_i16 {
            let known = <$domain>::from_number(number).map(|value| value.name());
            let name = <$wire>::try_from(i32::from(number)).ok().map(|value| value.as_str_name());
            let name = name.and_then(|name| name.strip_prefix($prefix));
            assert_eq!(known, name.filter(|name| *name != "UNSPECIFIED"), "{number}");
        }
    };
}

#[test]
fn the_domain_has_the_numbers_and_names_of_the_contract() {
    assert_same!(CustomerKind, wire::customer::Kind, "KIND_");
    assert_same!(CustomerState, wire::customer::State, "STATE_");
    assert_same!(AccountState, wire::account::State, "STATE_");
    assert_same!(AccountClass, ledger::AccountClass, "ACCOUNT_CLASS_");
}
