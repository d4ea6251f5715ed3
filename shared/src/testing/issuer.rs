//! An issuer of tokens with files of its own.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::clock::Clock;
use crate::ids::TenantId;
use crate::principal::Grants;
use crate::token::{Claims, Signer, generate, jwks};

/// Issues tokens that a server believes when it has this issuer's arguments.
#[derive(Debug)]
pub struct Issuer {
    signer: Signer,
    folder: TempDir,
    jwks: String,
}

impl Issuer {
    /// The issuer's name.
    pub const NAME: &str = "https://issuer.test";

    /// A new issuer with a new key, and workload keys for these services with these permissions.
    pub fn new(workloads: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        let (pem, jwk) = generate("issuer").expect("a key is made");
        let path = folder.path().join("issuer.jwks");
        std::fs::write(&path, jwks([(jwk, None)]).to_string()).expect("the keys are written");
        let mut keys = Vec::new();
        for (service, permissions) in workloads {
            let (pem, jwk) = generate(service).expect("a key is made");
            std::fs::write(folder.path().join(format!("{service}.pem")), pem)
                .expect("the key is written");
            keys.push((jwk, Some(Grants::new(permissions.iter().copied()))));
        }
        std::fs::write(folder.path().join("workloads.jwks"), jwks(keys).to_string())
            .expect("the keys are written");
        let signer = Signer::from_pem("issuer", &pem).expect("the key is one");
        Self { signer, folder, jwks: path.to_string_lossy().into_owned() }
    }

    /// The file with a service's own private key.
    pub fn workload_key(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.pem"))
    }

    /// The file with the public keys of the services.
    pub fn workload_jwks(&self) -> PathBuf {
        self.folder.path().join("workloads.jwks")
    }

    /// The arguments with which a server believes this issuer.
    pub fn arguments(&self) -> Vec<&str> {
        vec!["--token-issuer", Self::NAME, "--token-jwks", &self.jwks]
    }

    /// Claims that hold for a minute in one tenant.
    pub fn claims(&self, tenant: TenantId, permissions: &[&str]) -> Claims {
        let now = u64::try_from(Clock::system().now().micros() / 1_000_000).unwrap_or(0);
        Claims {
            iss: Self::NAME.to_owned(),
            aud: "strongroom".to_owned(),
            sub: format!("test:{}", Uuid::now_v7()),
            exp: now + Duration::from_secs(60).as_secs(),
            tenants: vec![tenant.uuid()],
            permissions: Grants::new(permissions.iter().copied()),
            customer: None,
        }
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Claims) -> String {
        self.signer.sign(claims).expect("the token is signed")
    }

    /// The value of the `authorization` metadata for one tenant.
    pub fn bearer(&self, tenant: TenantId, permissions: &[&str]) -> String {
        format!("Bearer {}", self.sign(&self.claims(tenant, permissions)))
    }
}

/// Puts a bearer token into every call of a client.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// With this value of the `authorization` metadata, as [`Issuer::bearer`] gives it.
    pub fn new(value: &str) -> Self {
        Self(value.parse().expect("a token is ASCII"))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}
