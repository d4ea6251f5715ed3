use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::provider::Capabilities;
use super::super::{Context, SealBroken, wrap};
use super::*;

const LIMITS: KeyringLimits = KeyringLimits {
    capacity: 4,
    ttl: Duration::from_secs(60),
    timeout: Duration::from_secs(5),
    retry_after: Duration::from_secs(1),
};

/// A provider that takes its time, counts, can be away, and can mix up keys.
struct Slow {
    kek: Key,
    takes: Duration,
    calls: AtomicUsize,
    away: AtomicUsize,
    confused: AtomicBool,
}

impl Slow {
    fn new(takes: Duration) -> Arc<Self> {
        let kek = Key::random().unwrap();
        let (calls, away, confused) = Default::default();
        Arc::new(Self { kek, takes, calls, away, confused })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl KeyProvider for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities { rotate: false, destroy: false }
    }

    fn wrap<'a>(&'a self, key: &'a Key, context: &'a Context) -> ProviderFuture<'a, Wrapped> {
        let other = Key::random().unwrap();
        Box::pin(async move {
            let key = if self.confused.load(Ordering::SeqCst) { &other } else { key };
            Ok(wrap::wrap(&self.kek, &self.active(), key, context)?)
        })
    }

    fn active(&self) -> KeyId {
        KeyId::new("kek").unwrap()
    }

    fn versions(&self) -> Vec<KeyId> {
        vec![self.active()]
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> ProviderFuture<'a, Key> {
        Box::pin(async {
            self.calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            match self.away.load(Ordering::SeqCst) {
                0 => Ok(wrap::unwrap(&self.kek, wrapped, context)?),
                _ => Err(KeyError::Unavailable("away".to_owned())),
            }
        })
    }
}

async fn ring(takes: Duration) -> (Arc<Slow>, Arc<Keyring>, Vec<u8>) {
    let provider = Slow::new(takes);
    let ring = Keyring::new(Arc::<Slow>::clone(&provider), LIMITS);
    let (_, wrapped) = ring.new_tenant_key(Uuid::nil(), 1).await.unwrap();
    (provider, Arc::new(ring), wrapped.to_bytes())
}

async fn at_once(ring: &Arc<Keyring>, wrapped: &[u8], times: usize) -> Vec<Result<(), KeyError>> {
    let mut tasks = Vec::new();
    for _ in 0..times {
        let (ring, wrapped) = (Arc::clone(ring), wrapped.to_vec());
        tasks.push(tokio::spawn(async move {
            ring.tenant_key(Uuid::nil(), 1, &wrapped).await.map(|_| ())
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_asks_the_provider_once() {
    let (provider, ring, wrapped) = ring(Duration::from_secs(1)).await;
    let answers = at_once(&ring, &wrapped, 100).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_after_its_time() {
    let (provider, ring, wrapped) = ring(Duration::ZERO).await;
    for expected in [1, 1, 2] {
        at_once(&ring, &wrapped, 1).await[0].as_ref().unwrap();
        assert_eq!(provider.calls(), expected);
        tokio::time::advance(LIMITS.ttl * 2 / 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_opened_key_is_the_one_that_was_made() {
    let (_, ring, _) = ring(Duration::ZERO).await;
    let (made, wrapped) = ring.new_tenant_key(Uuid::nil(), 2).await.unwrap();
    let opened = ring.tenant_key(Uuid::nil(), 2, &wrapped.to_bytes()).await.unwrap();
    let (_, subject_key) = made.new_subject_key(Uuid::max(), 1).unwrap();
    assert!(opened.open_subject_key(Uuid::max(), 1, &subject_key).is_ok());
    assert_eq!(opened.epoch(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_wrap_is_not_answered_from_memory() {
    let (_, ring, mut wrapped) = ring(Duration::ZERO).await;
    at_once(&ring, &wrapped, 1).await[0].as_ref().unwrap();
    *wrapped.last_mut().unwrap() ^= 1;
    assert_eq!(at_once(&ring, &wrapped, 1).await, [Err(KeyError::Broken(SealBroken))]);
    *wrapped.last_mut().unwrap() ^= 1;
    let other = ring.tenant_key(Uuid::max(), 1, &wrapped).await.err();
    assert_eq!(other, Some(KeyError::Broken(SealBroken)), "another tenant's");
    let other = ring.tenant_key(Uuid::nil(), 2, &wrapped).await.err();
    assert_eq!(other, Some(KeyError::Broken(SealBroken)), "another epoch's");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_is_not_stampeded_and_may_come_back() {
    let (provider, ring, wrapped) = ring(Duration::from_secs(60)).await;
    let answers = at_once(&ring, &wrapped, 50).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(KeyError::Unavailable(_)))));
    assert_eq!(provider.calls(), 1, "one waits for the timeout, the others take its answer");

    let (provider, ring, wrapped) = self::ring(Duration::ZERO).await;
    provider.away.store(1, Ordering::SeqCst);
    assert!(at_once(&ring, &wrapped, 1).await[0].is_err());
    provider.away.store(0, Ordering::SeqCst);
    assert!(at_once(&ring, &wrapped, 1).await[0].is_err(), "not asked again at once");
    tokio::time::advance(LIMITS.retry_after).await;
    assert!(at_once(&ring, &wrapped, 1).await[0].is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_block_the_others() {
    let (provider, ring, wrapped) = ring(Duration::from_secs(1)).await;
    let gone = ring.tenant_key(Uuid::nil(), 1, &wrapped);
    assert!(timeout(Duration::from_millis(10), gone).await.is_err());
    assert!(at_once(&ring, &wrapped, 10).await.iter().all(Result::is_ok));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_kept_keys_is_bounded() {
    let (provider, ring, _) = ring(Duration::ZERO).await;
    let mut wraps = Vec::new();
    for tenant in 0..10 {
        let tenant = Uuid::from_u128(tenant);
        let (_, wrapped) = ring.new_tenant_key(tenant, 1).await.unwrap();
        wraps.push((tenant, wrapped.to_bytes()));
    }
    for (tenant, wrapped) in &wraps {
        ring.tenant_key(*tenant, 1, wrapped).await.unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(ring.entries.lock().unwrap().len() <= LIMITS.capacity);
    }
    assert_eq!(provider.calls(), 10);
    for (tenant, wrapped) in wraps.iter().rev().take(LIMITS.capacity) {
        ring.tenant_key(*tenant, 1, wrapped).await.unwrap();
    }
    assert_eq!(provider.calls(), 10, "the latest are kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_open_is_had_without_waiting() {
    let (provider, ring, wrapped) = ring(Duration::from_secs(1)).await;
    let cached = || ring.cached(Uuid::nil(), 1, &wrapped).is_some();
    assert!(!cached());
    let asking = at_once(&ring, &wrapped, 1);
    let looking = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!cached(), "somebody is asking");
    };
    tokio::join!(asking, looking);
    assert!(cached());
    assert!(ring.cached(Uuid::nil(), 2, &wrapped).is_none());
    assert!(ring.cached(Uuid::nil(), 1, &wrapped[1..]).is_none());
    tokio::time::advance(LIMITS.ttl).await;
    assert!(!cached(), "its time is over");
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_key_is_opened_anew() {
    let (provider, ring, wrapped) = ring(Duration::ZERO).await;
    at_once(&ring, &wrapped, 1).await[0].as_ref().unwrap();
    ring.forget(Uuid::max(), 1);
    ring.forget(Uuid::nil(), 2);
    assert!(ring.cached(Uuid::nil(), 1, &wrapped).is_some());
    ring.forget(Uuid::nil(), 1);
    assert!(ring.cached(Uuid::nil(), 1, &wrapped).is_none());
    at_once(&ring, &wrapped, 1).await[0].as_ref().unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rewrapped_tenant_key_is_the_same_key_or_none() {
    let (provider, ring, wrapped) = ring(Duration::ZERO).await;
    let made = ring.tenant_key(Uuid::nil(), 1, &wrapped).await.unwrap();
    let (_, subject_key) = made.new_subject_key(Uuid::max(), 1).unwrap();
    let rewrapped = ring.rewrap(Uuid::nil(), 1, &wrapped).await.unwrap().to_bytes();
    assert_ne!(rewrapped, wrapped);
    let opened = ring.tenant_key(Uuid::nil(), 1, &rewrapped).await.unwrap();
    assert!(opened.open_subject_key(Uuid::max(), 1, &subject_key).is_ok());

    let broken = Some(KeyError::Broken(SealBroken));
    assert_eq!(ring.rewrap(Uuid::nil(), 2, &wrapped).await.err(), broken);
    assert_eq!(ring.rewrap(Uuid::max(), 1, &wrapped).await.err(), broken);
    provider.confused.store(true, Ordering::SeqCst);
    assert_eq!(ring.rewrap(Uuid::nil(), 1, &wrapped).await.err(), Some(SealFailed.into()));
    provider.away.store(1, Ordering::SeqCst);
    let away = ring.rewrap(Uuid::nil(), 1, &wrapped).await;
    assert!(matches!(away, Err(KeyError::Unavailable(_))));
}
