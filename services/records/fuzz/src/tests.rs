//! The targets on random bytes: they work, and hold on the first look.

use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn read<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> T {
    T::arbitrary_take_rest(Unstructured::new(bytes)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn holds(bytes in vec(any::<u8>(), 0..1024)) {
        body::check(&read(&bytes));
        context::check(&read(&bytes));
        proof::check(&read(&bytes));
        wrapped::check(&read(&bytes));
    }
}
