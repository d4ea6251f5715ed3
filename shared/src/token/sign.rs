//! Signing, as an issuer or as a service that speaks for its caller.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::{AuthError, Claims, workload_issuer};
use crate::clock::Clock;
use crate::ids::TenantId;
use crate::principal::{Grants, Principal};

/// How long a service's own token lives: long enough for a slow clock, short enough to be useless
/// when it leaks.
const WORKLOAD_TOKEN: Duration = Duration::from_secs(60);

/// Signs tokens with one key.
pub struct Signer {
    key: EncodingKey,
    header: Header,
}

impl Signer {
    /// A signer with an Ed25519 key (PKCS #8, PEM).
    pub fn from_pem(kid: &str, pem: &str) -> Result<Self, AuthError> {
        let key = EncodingKey::from_ed_pem(pem.as_bytes())
            .map_err(|error| AuthError::Key(kid.to_owned(), error.to_string()))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        Ok(Self { key, header })
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Claims) -> Result<String, AuthError> {
        encode(&self.header, claims, &self.key).map_err(|error| AuthError::Sign(error.to_string()))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?})", self.header.kid)
    }
}

/// Signs the tokens with which a service calls another.
#[derive(Debug)]
pub struct WorkloadSigner {
    signer: Signer,
    service: String,
    audience: String,
    clock: Clock,
}

impl WorkloadSigner {
    /// The signer of a service, with the key in a file.
    pub fn load(
        service: &str,
        path: &Path,
        audience: &str,
        clock: Clock,
    ) -> Result<Self, AuthError> {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| AuthError::File(path.to_owned(), error.to_string()))?;
        Ok(Self {
            signer: Signer::from_pem(service, &pem)?,
            service: service.to_owned(),
            audience: audience.to_owned(),
            clock,
        })
    }

    /// A token that names the caller on whose behalf the service calls. What it may do is in the
    /// callee's list of workload keys, not here.
    pub fn speak_for(
        &self,
        principal: &Principal,
        tenant: Option<TenantId>,
    ) -> Result<String, AuthError> {
        let now = self.clock.now().micros() / 1_000_000;
        self.signer.sign(&Claims {
            iss: workload_issuer(&self.service),
            aud: self.audience.clone(),
            sub: principal.subject.clone(),
            exp: u64::try_from(now).unwrap_or(0) + WORKLOAD_TOKEN.as_secs(),
            tenants: tenant.map(TenantId::uuid).into_iter().collect(),
            permissions: Grants::default(),
            customer: None,
        })
    }
}
