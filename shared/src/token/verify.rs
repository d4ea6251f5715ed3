//! Verification of bearer tokens against static key sets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use uuid::Uuid;

use super::{Claims, workload_issuer};
use crate::clock::Clock;
use crate::config::Auth;
use crate::ids::TenantId;
use crate::principal::{Grants, Principal};
use crate::problem::{Problem, Reason};

/// The metadata key by which a caller with several tenants chooses one.
pub const TENANT_KEY: &str = "strongroom-tenant";
/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: u64 = 5;
/// Verified tokens that are remembered until they end; a signature costs more than a look-up.
const REMEMBERED_MAX: usize = 10_000;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, String),
    /// A key is not usable.
    #[error("the key {0} is not usable: {1}")]
    Key(String, String),
    /// Keys without an issuer would believe anybody.
    #[error("--token-jwks needs --token-issuer")]
    Issuer,
    /// A token could not be signed.
    #[error("cannot sign: {0}")]
    Sign(String),
}

/// Who a token says the caller is, before a tenant is chosen.
#[derive(Debug, Clone)]
pub struct Identity {
    subject: String,
    workload: Option<String>,
    customer: Option<Uuid>,
    grants: Grants,
    tenants: Vec<Uuid>,
    expires: u64,
}

impl Identity {
    /// The principal in the tenant that the caller chose, or that it has.
    pub fn principal(&self, headers: &HeaderMap, tenantless: bool) -> Result<Principal, Problem> {
        let tenant = if tenantless { None } else { Some(self.tenant(headers)?) };
        Ok(Principal {
            subject: self.subject.clone(),
            workload: self.workload.clone(),
            tenant,
            customer: self.customer,
            grants: self.grants.clone(),
        })
    }

    fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Problem> {
        let invalid = |sentence: &str| {
            Problem::new(Reason::FieldInvalid, sentence).in_field(format!("metadata.{TENANT_KEY}"))
        };
        let chosen = match headers.get(TENANT_KEY) {
            Some(value) => {
                let uuid = value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
                let uuid = uuid.ok_or_else(|| invalid("must be a UUID"))?;
                if !self.tenants.contains(&uuid) {
                    let message = "The caller's token is not for this tenant.";
                    return Err(
                        Problem::new(Reason::PermissionMissing, message).figure("tenant", uuid)
                    );
                }
                uuid
            }
            None => match self.tenants[..] {
                [only] => only,
                [] => {
                    return Err(invalid("cannot be chosen: the caller's token has no tenant"));
                }
                _ => {
                    return Err(invalid("must be given: the caller's token has several tenants"));
                }
            },
        };
        Ok(TenantId::from_uuid(chosen))
    }
}

struct Trusted {
    key: DecodingKey,
    algorithm: Algorithm,
    issuer: String,
    /// The service and its permissions, for the key of a workload.
    workload: Option<(String, Grants)>,
}

/// Verifies bearer tokens.
pub struct Authenticator {
    keys: HashMap<String, Trusted>,
    audience: String,
    dev_tenant: Option<Uuid>,
    clock: Clock,
    remembered: RwLock<HashMap<String, Arc<Identity>>>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Reads the key sets.
    pub fn load(config: &Auth, clock: Clock) -> Result<Self, AuthError> {
        let mut keys = HashMap::new();
        if let Some(path) = &config.token_jwks {
            if config.token_issuer.is_empty() {
                return Err(AuthError::Issuer);
            }
            for (kid, key, algorithm, _) in read_jwks(path)? {
                let issuer = config.token_issuer.clone();
                insert(&mut keys, kid, Trusted { key, algorithm, issuer, workload: None })?;
            }
        }
        if let Some(path) = &config.workload_jwks {
            for (kid, key, algorithm, permissions) in read_jwks(path)? {
                let (issuer, workload) = (workload_issuer(&kid), Some((kid.clone(), permissions)));
                insert(&mut keys, kid, Trusted { key, algorithm, issuer, workload })?;
            }
        }
        Ok(Self {
            keys,
            audience: config.token_audience.clone(),
            dev_tenant: config.dev_tenant,
            clock,
            remembered: RwLock::default(),
        })
    }

    /// Who calls. Without a token nobody does, but for "dev" on loopback in development.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        on_loopback: bool,
    ) -> Result<Arc<Identity>, Problem> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return match self.dev_tenant {
                Some(tenant) if on_loopback => Ok(Arc::new(dev(tenant))),
                _ => Err(Problem::new(Reason::TokenMissing, "The call has no bearer token.")),
            };
        };
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer ").or(text.strip_prefix("bearer ")))
            .ok_or_else(invalid)?;
        let now = u64::try_from(self.clock.now().micros() / 1_000_000).unwrap_or(0);
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = remembered.get(token)
            && identity.expires > now
        {
            return Ok(Arc::clone(identity));
        }
        drop(remembered);
        let identity = Arc::new(self.verify(token, now)?);
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), Arc::clone(&identity));
        Ok(identity)
    }

    fn verify(&self, token: &str, now: u64) -> Result<Identity, Problem> {
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or_else(invalid)?;
        let trusted = self.keys.get(&kid).ok_or_else(invalid)?;
        // The algorithm is the key's own, never the token's word.
        let mut validation = Validation::new(trusted.algorithm);
        validation.set_issuer(&[&trusted.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // The expiry is judged below, by the injected clock.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &trusted.key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => expired(),
                _ => invalid(),
            })?
            .claims;
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(expired());
        }
        let (workload, grants) = match &trusted.workload {
            Some((service, permissions)) => (Some(service.clone()), permissions.clone()),
            None => (None, claims.permissions),
        };
        Ok(Identity {
            subject: claims.sub,
            workload,
            customer: claims.customer,
            grants,
            tenants: claims.tenants,
            expires: claims.exp,
        })
    }
}

/// A key id that two keys share would let one speak for the other.
fn insert(
    keys: &mut HashMap<String, Trusted>,
    kid: String,
    trusted: Trusted,
) -> Result<(), AuthError> {
    match keys.insert(kid.clone(), trusted) {
        None => Ok(()),
        Some(_) => Err(AuthError::Key(kid, "there are two with this id".to_owned())),
    }
}

fn dev(tenant: Uuid) -> Identity {
    Identity {
        subject: "dev".to_owned(),
        workload: None,
        customer: None,
        grants: Grants::new(["*", "tenants.*"]),
        tenants: vec![tenant],
        expires: 0,
    }
}

fn invalid() -> Problem {
    Problem::new(Reason::TokenInvalid, "The bearer token is malformed, forged or for others.")
}

fn expired() -> Problem {
    Problem::new(Reason::TokenExpired, "The bearer token is past its expiry.")
}

#[derive(serde::Deserialize)]
struct JwksFile {
    keys: Vec<JwksKey>,
}

#[derive(serde::Deserialize)]
struct JwksKey {
    #[serde(flatten)]
    jwk: Jwk,
    #[serde(default)]
    permissions: Grants,
}

fn read_jwks(path: &Path) -> Result<Vec<(String, DecodingKey, Algorithm, Grants)>, AuthError> {
    let file = |error: String| AuthError::File(path.to_owned(), error);
    let text = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
    let set: JwksFile = serde_json::from_str(&text).map_err(|error| file(error.to_string()))?;
    set.keys
        .into_iter()
        .map(|JwksKey { jwk, permissions }| {
            let kid = jwk.common.key_id.clone().unwrap_or_default();
            let refuse = |why: &str| AuthError::Key(kid.clone(), why.to_owned());
            if kid.is_empty() {
                return Err(refuse("it has no kid"));
            }
            let algorithm = match jwk.common.key_algorithm.map(|name| name.to_string()).as_deref() {
                Some("EdDSA") => Algorithm::EdDSA,
                Some("ES256") => Algorithm::ES256,
                _ => return Err(refuse("its alg is neither EdDSA nor ES256")),
            };
            let key = DecodingKey::from_jwk(&jwk).map_err(|error| refuse(&error.to_string()))?;
            Ok((kid, key, algorithm, permissions))
        })
        .collect()
}
