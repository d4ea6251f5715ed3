//! Wrapped keys, as whoever can write to the store may leave them: nothing panics, what is read has
//! one form only, and nothing opens but what was wrapped.

use arbitrary::Arbitrary;
use records::seal::{Key, KeyId, TenantKey, Wrapped};
use uuid::Uuid;

use crate::edit::{Edit, edited};

/// What one run is about.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    stranger: &'a [u8],
    key_id: &'a str,
    payload: &'a [u8],
    edits: Vec<Edit>,
}

const SUBJECT: Uuid = Uuid::from_u128(2);

fn opens(key: &TenantKey, bytes: &[u8]) -> bool {
    let Ok(wrapped) = Wrapped::from_bytes(bytes) else { return false };
    assert_eq!(wrapped.to_bytes(), bytes);
    assert!(key.open_index_key(1, &wrapped).is_err());
    key.open_subject_key(SUBJECT, 1, &wrapped).is_ok()
}

/// Checks one input.
///
/// # Panics
///
/// Where something does not hold.
pub fn check(input: &Input<'_>) {
    let key = TenantKey::new(Uuid::from_u128(1), 1, Key::random().unwrap());
    assert!(!opens(&key, input.stranger));

    if let Some(id) = KeyId::new(input.key_id) {
        let wrapped = Wrapped::from_parts(id, input.payload.to_vec());
        assert_eq!(Wrapped::from_bytes(&wrapped.to_bytes()).as_ref(), Ok(&wrapped));
        assert!(!opens(&key, &wrapped.to_bytes()));
    }

    let (_, wrapped) = key.new_subject_key(SUBJECT, 1).unwrap();
    let wrapped = wrapped.to_bytes();
    let edited = edited(&wrapped, &input.edits);
    assert!(opens(&key, &wrapped));
    assert_eq!(opens(&key, &edited), edited == wrapped);
}
