//! Key-encryption keys that an operator keeps in files, read at start and at every refresh.

mod file;
mod keys;
mod mounted;
#[cfg(test)]
mod tests;

pub use file::FileProvider;
pub use keys::KeyFileError;
pub use mounted::MountedProvider;

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use shared::task::blocking;
use tokio::sync::Mutex;

use super::{Capabilities, KeyError, KeyProvider, ProviderFuture};
use crate::seal::{Context, Key, KeyId, SealBroken, SealFailed, Wrapped, wrap};
use keys::Keys;

/// How keys lie at a path.
pub trait Format: Send + Sync + 'static {
    /// Reads all of them, or none.
    fn read(path: &Path) -> Result<Keys, KeyFileError>;
}

/// Keys at a path. An operator rotates by adding a key and naming it active.
///
/// Files can be copied without a trace, so that this provider cannot know whether a key is
/// destroyed. It takes the operator's word for it: see [`vouched`](Self::vouched).
pub struct Local<F> {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
    /// Held while the files are read, so that an older reading never replaces a newer one.
    reading: Mutex<()>,
    vouched: bool,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> Local<F> {
    /// Reads the keys at a path.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self {
            path: path.to_owned(),
            keys: RwLock::new(Arc::new(F::read(path)?)),
            reading: Mutex::default(),
            vouched: false,
            format: PhantomData,
        })
    }

    /// With `vouched` the operator says: a key that I remove is destroyed, wherever it was copied,
    /// backups included. Only then are removed keys destroyed ones.
    #[must_use]
    pub fn vouched(mut self, vouched: bool) -> Self {
        self.vouched = vouched;
        self
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read_again(&self) -> Result<(), KeyError> {
        let _reading = self.reading.lock().await;
        let path = self.path.clone();
        let unusable = |error: KeyFileError| KeyError::Unavailable(error.to_string());
        let read = blocking(move || F::read(&path)).await;
        let read = read.map_err(|error| KeyError::Unavailable(error.to_string()))?;
        let keys = read.map_err(unusable)?;
        if let Some(id) = self.keys().contradicted_by(&keys) {
            let problem = format!("{id} is another key than before");
            return Err(unusable(KeyFileError::Malformed { path: self.path.clone(), problem }));
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

impl<F: Format> KeyProvider for Local<F> {
    fn capabilities(&self) -> Capabilities {
        Capabilities { rotate: false, destroy: self.vouched }
    }

    fn wrap<'a>(&'a self, key: &'a Key, context: &'a Context) -> ProviderFuture<'a, Wrapped> {
        Box::pin(async {
            let keys = self.keys();
            let kek = keys.get(keys.active()).ok_or(SealFailed)?;
            Ok(wrap::wrap(kek, keys.active(), key, context)?)
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> ProviderFuture<'a, Key> {
        Box::pin(async {
            let keys = self.keys();
            let kek = keys.get(wrapped.key_id()).ok_or(SealBroken)?;
            Ok(wrap::unwrap(kek, wrapped, context)?)
        })
    }

    fn refresh(&self) -> ProviderFuture<'_, ()> {
        Box::pin(self.read_again())
    }

    fn active(&self) -> KeyId {
        self.keys().active().clone()
    }

    fn versions(&self) -> Vec<KeyId> {
        self.keys().ids().cloned().collect()
    }

    fn destroyed<'a>(&'a self, id: &'a KeyId) -> ProviderFuture<'a, bool> {
        Box::pin(async {
            if !self.vouched {
                return Ok(false);
            }
            self.read_again().await?;
            Ok(self.keys().get(id).is_none())
        })
    }
}
