//! How far the logs are, for those who wait in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::ids::TenantId;

/// The sizes of the logs that somebody waits for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heads(Arc<Mutex<HashMap<TenantId, watch::Sender<u64>>>>);

impl Heads {
    /// Changes whenever this process has made a tenant's log grow.
    pub(crate) fn subscribe(&self, tenant: TenantId) -> watch::Receiver<u64> {
        self.heads().entry(tenant).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// A log has this size now.
    pub(super) fn publish(&self, tenant: TenantId, size: u64) {
        let mut heads = self.heads();
        // Where nobody waits any more nothing is kept.
        if heads.get(&tenant).is_some_and(|head| head.send(size).is_err()) {
            heads.remove(&tenant);
        }
    }

    fn heads(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
