//! Key providers: whoever keeps the key-encryption keys and wraps tenant keys with them.

#[cfg(test)]
pub(crate) mod contract;
mod local;

pub use local::{FileProvider, KeyFileError, MountedProvider};

use std::pin::Pin;

use super::{Context, Key, KeyId, SealBroken, SealFailed, Wrapped};

/// The answer of a provider that may be far away.
pub type ProviderFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyError>> + Send + 'a>>;

/// Keeps key-encryption keys (KEKs). A KEK has versions: new wraps use the active one, and every
/// wrap names the one that made it, so that old ones open for as long as their version is kept.
///
/// Every provider passes the checks in `contract`.
pub trait KeyProvider: Send + Sync {
    /// What this provider can do beyond wrapping.
    fn capabilities(&self) -> Capabilities;

    /// Wraps a tenant key under the active KEK, bound to `context`.
    fn wrap<'a>(&'a self, key: &'a Key, context: &'a Context) -> ProviderFuture<'a, Wrapped>;

    /// Opens what [`wrap`](Self::wrap) made for the same context. A KEK that the provider does not
    /// know is [`KeyError::Broken`]: asking again would not help.
    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> ProviderFuture<'a, Key>;

    /// Learns what became of the KEKs since: which came, which went, which is active. Where that
    /// cannot be learnt, what was known stays in use.
    fn refresh(&self) -> ProviderFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The KEK that new wraps use, as of the last refresh.
    fn active(&self) -> KeyId;

    /// The KEKs that open what they wrapped, as of the last refresh. At most 1,024, in the order of
    /// their ids.
    fn versions(&self) -> Vec<KeyId>;

    /// Confirms that a KEK is gone for good, backups of the provider included. A provider asks
    /// afresh, and one without [`Capabilities::destroy`] never confirms it.
    fn destroyed<'a>(&'a self, _id: &'a KeyId) -> ProviderFuture<'a, bool> {
        Box::pin(async { Ok(false) })
    }
}

/// What a provider can do. The service offers only what its provider declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It makes a new version of its KEK when the service asks.
    pub rotate: bool,
    /// It knows when a version of its KEK is destroyed for good, backups of the provider included.
    pub destroy: bool,
}

/// Why a key is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The provider is away, or too slow. Trying again later may help.
    #[error("the key provider is unavailable: {0}")]
    Unavailable(String),
    /// The wrapped key cannot be opened.
    #[error(transparent)]
    Broken(#[from] SealBroken),
    /// The key could not be made or wrapped.
    #[error(transparent)]
    Failed(#[from] SealFailed),
}
