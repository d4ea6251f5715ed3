//! Tokens (JWT, RFC 7519): who is believed, and how services speak for their callers.
//!
//! A caller's token comes from the issuer. When one service calls another, it signs a short-lived
//! token of its own that names the caller as subject: the callee believes the service, with the
//! permissions that its key has in the callee's own list, and never a plain header.

mod keys;
mod sign;
mod verify;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::principal::Grants;

pub use keys::{KeyError, generate, jwks};
pub use sign::{Signer, WorkloadSigner};
pub use verify::{AuthError, Authenticator, Identity, TENANT_KEY};

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience. It is judged before anything else is read, be it one or a list.
    #[serde(skip_deserializing)]
    pub aud: String,
    /// The person or program.
    pub sub: String,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: u64,
    /// The tenants in which the permissions hold.
    #[serde(default)]
    pub tenants: Vec<Uuid>,
    /// What the caller may do there.
    #[serde(default)]
    pub permissions: Grants,
    /// The customer that the subject is, for grants of scope OWN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Uuid>,
}

/// The issuer of a service's own tokens, by the name of the service.
pub(crate) fn workload_issuer(service: &str) -> String {
    format!("strongroom:{service}")
}

/// RFC 7519: a number of seconds, which may have a fraction.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let text = number.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().map_err(|_| serde::de::Error::custom("no time"))
}
