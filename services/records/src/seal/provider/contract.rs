//! What every key provider must do. A new provider calls these from its tests.

use uuid::Uuid;

use super::{KeyError, KeyProvider};
use crate::seal::{Context, Key, KeyId, SealBroken, TenantKey, Wrapped};

const BROKEN: Option<KeyError> = Some(KeyError::Broken(SealBroken));

/// The operator of a provider: puts keys where the provider finds them.
pub(crate) trait Operator {
    /// Puts these keys, and no others, and makes the last one active. A secret is known by its
    /// number.
    fn put(&self, keys: &[(&str, u8)]);

    /// Puts what no provider can use.
    fn spoil(&self);

    /// Starts a provider. With `vouched` removed keys are destroyed ones.
    fn start(&self, vouched: bool) -> Box<dyn KeyProvider>;
}

/// All of the contract.
pub(crate) async fn check_all(operator: &dyn Operator) {
    operator.put(&[("a", 1)]);
    let provider = operator.start(false);
    check(&*provider).await;
    check_same_keys(&*provider, &*operator.start(false)).await;
    operator.put(&[("a", 2)]);
    check_other_keys(&*provider, &*operator.start(false)).await;

    check_rotation(operator).await;
    check_bad_refresh(operator).await;
    check_destruction(operator).await;
}

/// Wraps open, for their owner only, and nothing that was changed opens. What cannot be opened is
/// broken, never unavailable: else callers would try for ever.
async fn check(provider: &dyn KeyProvider) {
    let key = Key::random().unwrap();
    let wrapped = provider.wrap(&key, &context(1)).await.unwrap();
    let opened = provider.unwrap(&wrapped, &context(1)).await.unwrap();
    assert_eq!(opened.expose(), key.expose());
    assert_eq!(*wrapped.key_id(), provider.active());
    assert_eq!(provider.versions(), [provider.active()]);

    let again = provider.wrap(&key, &context(1)).await.unwrap();
    assert_eq!(again.key_id(), wrapped.key_id());
    assert_ne!(again.payload(), wrapped.payload(), "wraps of one key must differ");

    assert_eq!(provider.unwrap(&wrapped, &context(2)).await.err(), BROKEN);
    let stranger = Wrapped::from_parts(id("nobody"), wrapped.payload().to_vec());
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

/// `later` opens what `earlier` wrapped: the same keys after a restart.
async fn check_same_keys(earlier: &dyn KeyProvider, later: &dyn KeyProvider) {
    let wrapped = earlier.wrap(&Key::random().unwrap(), &context(3)).await.unwrap();
    assert!(later.unwrap(&wrapped, &context(3)).await.is_ok());
}

/// `other` does not open what `one` wraps.
async fn check_other_keys(one: &dyn KeyProvider, other: &dyn KeyProvider) {
    let wrapped = one.wrap(&Key::random().unwrap(), &context(4)).await.unwrap();
    assert_eq!(other.unwrap(&wrapped, &context(4)).await.err(), BROKEN);
}

/// A new version wraps from the refresh on, and old ones open until they are removed.
async fn check_rotation(operator: &dyn Operator) {
    operator.put(&[("a", 1)]);
    let provider = operator.start(false);
    let key = Key::random().unwrap();
    let old = provider.wrap(&key, &context(5)).await.unwrap();
    operator.put(&[("a", 1), ("b", 2)]);
    provider.refresh().await.unwrap();
    assert_eq!(provider.active(), id("b"));
    assert_eq!(provider.versions(), [id("a"), id("b")]);
    let new = provider.wrap(&key, &context(5)).await.unwrap();
    assert_eq!(new.key_id(), &id("b"));
    for wrapped in [&old, &new] {
        let opened = provider.unwrap(wrapped, &context(5)).await.unwrap();
        assert_eq!(opened.expose(), key.expose());
    }
    operator.put(&[("b", 2)]);
    provider.refresh().await.unwrap();
    assert_eq!(provider.versions(), [id("b")]);
    assert_eq!(provider.unwrap(&old, &context(5)).await.err(), BROKEN);
    assert!(provider.unwrap(&new, &context(5)).await.is_ok());
}

/// Keys that cannot be used, or that take the name of another, replace nothing.
async fn check_bad_refresh(operator: &dyn Operator) {
    operator.put(&[("a", 1), ("b", 2)]);
    let provider = operator.start(false);
    let wrapped = provider.wrap(&Key::random().unwrap(), &context(6)).await.unwrap();
    for bad in [|it: &dyn Operator| it.spoil(), |it: &dyn Operator| it.put(&[("b", 3), ("c", 4)])] {
        bad(operator);
        let refused = provider.refresh().await;
        assert!(matches!(refused, Err(KeyError::Unavailable(_))), "{refused:?}");
        assert_eq!(provider.versions(), [id("a"), id("b")]);
        assert_eq!(provider.active(), id("b"));
        assert!(provider.unwrap(&wrapped, &context(6)).await.is_ok());
    }
}

/// A removed key is a destroyed one where the operator vouches for it, and it is asked for afresh.
async fn check_destruction(operator: &dyn Operator) {
    for vouched in [false, true] {
        operator.put(&[("a", 1), ("b", 2)]);
        let provider = operator.start(vouched);
        assert_eq!(provider.capabilities().destroy, vouched);
        assert_eq!(provider.destroyed(&id("a")).await, Ok(false));
        operator.put(&[("b", 2)]);
        assert_eq!(provider.destroyed(&id("a")).await, Ok(vouched));
        assert_eq!(provider.destroyed(&id("b")).await, Ok(false));
        operator.spoil();
        let confirmed = provider.destroyed(&id("a")).await;
        assert_eq!(confirmed.is_err(), vouched, "what cannot be seen is not confirmed");
    }
}

fn context(epoch: i32) -> Context {
    TenantKey::context(Uuid::from_u128(0x7e), epoch)
}

fn id(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}
