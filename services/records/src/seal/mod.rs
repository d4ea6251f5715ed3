//! Sealing: the key ladder, the wraps, the associated data and the body format.
//!
//! Four levels, each 32 random bytes, each wrapped by the one above with AES-256-GCM:
//! key-encryption key ([`provider`]) -> tenant key, with epochs -> subject key, one per person ->
//! data key, one per record version ([`ladder`]). A data key seals one body ([`body`]). Beside
//! subject keys, also under the tenant key, are the keys of blind indexes ([`blind_index`]).
//!
//! Whatever is sealed is bound to its owner by its [`context`], so that nothing can be moved to
//! another row and still open. This part knows neither gRPC nor Postgres.

pub mod blind_index;
pub mod body;
pub mod commitment;
pub mod context;
pub mod key;
pub mod keyring;
pub mod ladder;
pub mod provider;
pub mod wrap;

pub use blind_index::{IndexKey, Token};
pub use commitment::{Committing, Salt};
pub use context::Context;
pub use key::Key;
pub use keyring::{Keyring, KeyringLimits};
pub use ladder::{DataKey, SubjectKey, TenantKey};
pub use provider::{FileProvider, KeyError, KeyProvider, MountedProvider};
pub use wrap::{KeyId, Wrapped};

/// What was sealed cannot be opened: it was changed, cut, moved to another owner, or sealed under
/// another key. Which of these it was is not told, because the answer would help an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal is broken")]
pub struct SealBroken;

/// The cryptographic library did not seal. No input causes this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library did not seal")]
pub struct SealFailed;
