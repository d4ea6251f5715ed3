//! Tenant keys, opened by the provider once and kept for a short while.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::RwLock;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::provider::{KeyError, KeyProvider, ProviderFuture};
use super::{Key, KeyId, SealFailed, TenantKey, Wrapped};

/// What bounds a [`Keyring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyringLimits {
    /// How many opened tenant keys are kept; the least recently used leaves first. At least 1.
    pub capacity: usize,
    /// How long an opened tenant key is kept.
    pub ttl: Duration,
    /// How long the provider may take.
    pub timeout: Duration,
    /// How long a provider that was away is not asked again for the same key.
    pub retry_after: Duration,
}

/// Opens tenant keys through a [`KeyProvider`] and keeps them. Where many requests want the same
/// key at once, one asks the provider and the others wait for it.
///
/// Keys are kept by their wrapped form: a wrap that was changed in the store is never answered from
/// an earlier one.
pub struct Keyring {
    provider: Arc<dyn KeyProvider>,
    limits: KeyringLimits,
    entries: Mutex<HashMap<EntryId, Entry>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct EntryId {
    tenant: Uuid,
    epoch: i32,
    wrapped: Vec<u8>,
}

struct Entry {
    slot: Arc<RwLock<Slot>>,
    last_used: Instant,
}

/// What is known of one key. It is locked for writing while the provider is asked.
enum Slot {
    Empty,
    Open { key: Arc<TenantKey>, until: Instant },
    Away { reason: String, until: Instant },
}

impl Keyring {
    /// An empty key ring.
    pub fn new(provider: Arc<dyn KeyProvider>, limits: KeyringLimits) -> Self {
        Self { provider, limits, entries: Mutex::default() }
    }

    /// A new tenant key and its wrap. It is not kept, because its wrap is not stored yet.
    pub async fn new_tenant_key(
        &self,
        tenant: Uuid,
        epoch: i32,
    ) -> Result<(TenantKey, Wrapped), KeyError> {
        let key = Key::random()?;
        let context = TenantKey::context(tenant, epoch);
        let wrapped = self.bounded(self.provider.wrap(&key, &context)).await?;
        Ok((TenantKey::new(tenant, epoch, key), wrapped))
    }

    /// The tenant key that `wrapped` holds.
    pub async fn tenant_key(
        &self,
        tenant: Uuid,
        epoch: i32,
        wrapped: &[u8],
    ) -> Result<Arc<TenantKey>, KeyError> {
        let slot = self.slot(EntryId { tenant, epoch, wrapped: wrapped.to_vec() });
        let mut slot = slot.write().await;
        match &*slot {
            Slot::Open { key, until } if Instant::now() < *until => return Ok(Arc::clone(key)),
            Slot::Away { reason, until } if Instant::now() < *until => {
                return Err(KeyError::Unavailable(reason.clone()));
            }
            _ => *slot = Slot::Empty,
        }
        match self.open(tenant, epoch, wrapped).await {
            Ok(key) => {
                let key = Arc::new(key);
                let until = Instant::now() + self.limits.ttl;
                *slot = Slot::Open { key: Arc::clone(&key), until };
                Ok(key)
            }
            Err(error) => {
                if let KeyError::Unavailable(reason) = &error {
                    let until = Instant::now() + self.limits.retry_after;
                    *slot = Slot::Away { reason: reason.clone(), until };
                }
                Err(error)
            }
        }
    }

    /// The tenant key that `wrapped` holds, where it is open now. Nobody is asked and nothing is
    /// waited for, so that `None` may also mean that somebody is asking.
    pub fn cached(&self, tenant: Uuid, epoch: i32, wrapped: &[u8]) -> Option<Arc<TenantKey>> {
        let id = EntryId { tenant, epoch, wrapped: wrapped.to_vec() };
        let mut entries = self.entries();
        let entry = entries.get_mut(&id)?;
        let now = Instant::now();
        let open = match &*entry.slot.try_read().ok()? {
            Slot::Open { key, until } if now < *until => Arc::clone(key),
            _ => return None,
        };
        entry.last_used = now;
        Some(open)
    }

    /// Wraps a tenant key under the active KEK. What is open stays open: the new wrap is another
    /// entry.
    pub async fn rewrap(
        &self,
        tenant: Uuid,
        epoch: i32,
        wrapped: &[u8],
    ) -> Result<Wrapped, KeyError> {
        let context = TenantKey::context(tenant, epoch);
        let wrapped = Wrapped::from_bytes(wrapped)?;
        let key = self.bounded(self.provider.unwrap(&wrapped, &context)).await?;
        let rewrapped = self.bounded(self.provider.wrap(&key, &context)).await?;
        // It will replace the only other way to this key.
        let opened = self.bounded(self.provider.unwrap(&rewrapped, &context)).await?;
        verify_slices_are_equal(opened.expose(), key.expose()).map_err(|_| SealFailed)?;
        Ok(rewrapped)
    }

    /// Closes the key of a tenant's epoch. Whoever uses it at the moment may finish.
    pub fn forget(&self, tenant: Uuid, epoch: i32) {
        self.entries().retain(|id, _| (id.tenant, id.epoch) != (tenant, epoch));
    }

    /// The provider. What is asked of it directly has no time limit: see [`refresh`](Self::refresh)
    /// and [`destroyed`](Self::destroyed).
    pub fn provider(&self) -> &dyn KeyProvider {
        &*self.provider
    }

    /// [`KeyProvider::refresh`], within the time limit.
    pub async fn refresh(&self) -> Result<(), KeyError> {
        self.bounded(self.provider.refresh()).await
    }

    /// [`KeyProvider::destroyed`], within the time limit.
    pub async fn destroyed(&self, id: &KeyId) -> Result<bool, KeyError> {
        self.bounded(self.provider.destroyed(id)).await
    }

    async fn open(&self, tenant: Uuid, epoch: i32, wrapped: &[u8]) -> Result<TenantKey, KeyError> {
        let wrapped = Wrapped::from_bytes(wrapped)?;
        let context = TenantKey::context(tenant, epoch);
        let key = self.bounded(self.provider.unwrap(&wrapped, &context)).await?;
        Ok(TenantKey::new(tenant, epoch, key))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<EntryId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bounded<T>(&self, call: ProviderFuture<'_, T>) -> Result<T, KeyError> {
        let late = |_| KeyError::Unavailable(format!("no answer in {:?}", self.limits.timeout));
        timeout(self.limits.timeout, call).await.map_err(late)?
    }

    /// The slot of a key, made where it is missing. Making one drops what has expired.
    fn slot(&self, id: EntryId) -> Arc<RwLock<Slot>> {
        let now = Instant::now();
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&id) {
            entry.last_used = now;
            return Arc::clone(&entry.slot);
        }
        entries.retain(|_, entry| now < entry.last_used + self.limits.ttl);
        while entries.len() >= self.limits.capacity.max(1) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.last_used);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            entries.remove(&oldest);
        }
        let slot = Arc::new(RwLock::new(Slot::Empty));
        entries.insert(id, Entry { slot: Arc::clone(&slot), last_used: now });
        slot
    }
}
