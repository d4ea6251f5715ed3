//! What every key provider must do. A new provider calls these from its tests.

use uuid::Uuid;

use super::{KeyError, KeyProvider};
use crate::seal::{Context, Key, KeyId, SealBroken, TenantKey, Wrapped};

const BROKEN: Option<KeyError> = Some(KeyError::Broken(SealBroken));

fn context(epoch: i32) -> Context {
    TenantKey::context(Uuid::from_u128(0x7e), epoch)
}

/// Wraps open, for their owner only, and nothing that was changed opens. What cannot be opened is
/// broken, never unavailable: else callers would try for ever.
pub(crate) async fn check(provider: &dyn KeyProvider) {
    let key = Key::random().unwrap();
    let wrapped = provider.wrap(&key, &context(1)).await.unwrap();
    let opened = provider.unwrap(&wrapped, &context(1)).await.unwrap();
    assert_eq!(opened.expose(), key.expose());

    let again = provider.wrap(&key, &context(1)).await.unwrap();
    assert_eq!(again.key_id(), wrapped.key_id());
    assert_ne!(again.payload(), wrapped.payload(), "wraps of one key must differ");

    assert_eq!(provider.unwrap(&wrapped, &context(2)).await.err(), BROKEN);
    let stranger = Wrapped::from_parts(KeyId::new("nobody").unwrap(), wrapped.payload().to_vec());
    assert_eq!(provider.unwrap(&stranger, &context(1)).await.err(), BROKEN);

    let bytes = wrapped.to_bytes();
    assert!(!bytes.windows(8).any(|window| key.expose().windows(8).any(|secret| secret == window)));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(changed) = Wrapped::from_bytes(&changed) {
            assert_eq!(provider.unwrap(&changed, &context(1)).await.err(), BROKEN, "byte {at}");
        }
        if let Ok(cut) = Wrapped::from_bytes(&bytes[..at]) {
            assert_eq!(provider.unwrap(&cut, &context(1)).await.err(), BROKEN, "{at} bytes");
        }
    }
}

/// `later` opens what `earlier` wrapped: the same keys after a restart or a rotation.
pub(crate) async fn check_same_keys(earlier: &dyn KeyProvider, later: &dyn KeyProvider) {
    let key = Key::random().unwrap();
    let wrapped = earlier.wrap(&key, &context(3)).await.unwrap();
    let opened = later.unwrap(&wrapped, &context(3)).await.unwrap();
    assert_eq!(opened.expose(), key.expose());
}

/// `other` does not open what `one` wraps.
pub(crate) async fn check_other_keys(one: &dyn KeyProvider, other: &dyn KeyProvider) {
    let wrapped = one.wrap(&Key::random().unwrap(), &context(4)).await.unwrap();
    assert_eq!(other.unwrap(&wrapped, &context(4)).await.err(), BROKEN);
}
