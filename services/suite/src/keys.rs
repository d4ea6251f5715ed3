//! The secrets of a suite, made at its first start and kept in its state folder.
//!
//! ```text
//! keys/issuer.pem      signs the tokens of callers, in development
//! keys/issuer.jwks     its public half
//! keys/<service>.pem   signs the tokens with which a service calls another
//! keys/workloads.jwks  their public halves, each with what that service may do
//! keys/log.pem         signs the checkpoints of the logs
//! keys/log.vkey        verifies them (C2SP signed-note)
//! keys/kek.json        seals the keys of records: without it no record can be read
//! keys/roles.password  of the Postgres roles, where the suite makes them
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use records::seal::FileProvider;
use serde_json::{Value, json};
use shared::postgres::random_password;
use shared::principal::Grants;
use shared::token::{Signer, generate, jwks};
use shared::transparency;
use uuid::Uuid;

use crate::error::Error;

/// The issuer of the tokens of development.
pub const ISSUER: &str = "strongroom-development";
/// The id of its key.
const ISSUER_KEY: &str = "development";

/// The key of the logs.
const LOG_KEY: &str = "log.pem";

/// What each service may ask of the others, and nothing more.
const WORKLOADS: [(&str, &[&str]); 3] = [
    (
        "accounts",
        &[
            "events.events.list",
            "records.purposes.*",
            "records.recordTypes.create",
            "records.records.create",
            "records.records.get",
            "records.records.getFull",
            "records.records.lookup",
            "records.records.update",
            "records.retentionInterests.set",
            "records.subjects.create",
            "records.subjects.list",
            "transactions.ledgerAccounts.*",
        ],
    ),
    ("transactions", &["accounts.accounts.get", "events.events.list", "records.subjects.list"]),
    // The suite itself creates the tenant "default".
    ("suite", &["tenants.tenants.create"]),
];

/// The folder with the secrets of a suite.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// The secrets below a state folder, made where there are none.
    pub(crate) fn open_or_create(state: &Path) -> Result<Self, Error> {
        let folder = state.join("keys");
        if !folder.exists() {
            fs::create_dir_all(state).map_err(Error::file(state))?;
            create(state, &folder)?;
        }
        // Suites from before there was a log have none.
        if !folder.join(LOG_KEY).exists() {
            make_log_key(&folder)?;
        }
        grant_workloads(&folder)?;
        Ok(Self { folder })
    }

    /// The secrets below a state folder.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let folder = state.join("keys");
        match folder.is_dir() {
            true => Ok(Self { folder }),
            false => Err(Error::Token(format!(
                "there are no keys in {}: start strongroom once, or name its folder with --state",
                folder.display()
            ))),
        }
    }

    /// Signs tokens that the services believe, as the issuer of development.
    pub fn issuer(&self) -> Result<Signer, Error> {
        let pem = self.read("issuer.pem")?;
        Signer::from_pem(ISSUER_KEY, &pem).map_err(|error| Error::Token(error.to_string()))
    }

    pub(crate) fn issuer_jwks(&self) -> PathBuf {
        self.folder.join("issuer.jwks")
    }

    pub(crate) fn workload(&self, service: &str) -> PathBuf {
        self.folder.join(format!("{service}.pem"))
    }

    pub(crate) fn workloads_jwks(&self) -> PathBuf {
        self.folder.join("workloads.jwks")
    }

    pub(crate) fn kek(&self) -> PathBuf {
        self.folder.join("kek.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(LOG_KEY)
    }

    pub(crate) fn role_password(&self) -> Result<String, Error> {
        self.read("roles.password")
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).map_err(Error::file(&path))
    }
}

/// The folder appears with everything in it or not at all: half of its keys would be a suite that
/// can neither start nor be told from one that has lost a key.
fn create(state: &Path, folder: &Path) -> Result<(), Error> {
    let draft = state.join(format!("keys.{}", Uuid::now_v7().simple()));
    let made = DirBuilder::new()
        .mode(0o700)
        .create(&draft)
        .map_err(Error::file(&draft))
        .and_then(|()| fill(&draft))
        .and_then(|()| match fs::rename(&draft, folder) {
            // Another start was faster, and its keys are the ones.
            Err(_) if folder.is_dir() => Ok(()),
            renamed => renamed.map_err(Error::file(folder)),
        })
        .and_then(|()| {
            File::open(state).and_then(|state| state.sync_all()).map_err(Error::file(state))
        });
    // Where all went well it has its name by now.
    let _ = fs::remove_dir_all(&draft);
    made
}

fn fill(folder: &Path) -> Result<(), Error> {
    let key = |kid: &str| generate(kid).map_err(Error::file(folder));
    let (pem, jwk) = key(ISSUER_KEY)?;
    write(&folder.join("issuer.pem"), &pem)?;
    write(&folder.join("issuer.jwks"), &jwks([(jwk, None)]).to_string())?;
    let mut workloads = Vec::new();
    for (service, permissions) in WORKLOADS {
        let (pem, jwk) = key(service)?;
        write(&folder.join(format!("{service}.pem")), &pem)?;
        workloads.push((jwk, Some(Grants::new(permissions.iter().copied()))));
    }
    write(&folder.join("workloads.jwks"), &jwks(workloads).to_string())?;
    write(&folder.join("roles.password"), &random_password()?)?;
    make_log_key(folder)?;
    let kek = folder.join("kek.json");
    FileProvider::create(&kek).map_err(Error::file(&kek))
}

/// What services may ask of each other grows with them: a suite from before gets it too.
fn grant_workloads(folder: &Path) -> Result<(), Error> {
    let path = folder.join("workloads.jwks");
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let mut set: Value = serde_json::from_str(&text).map_err(Error::file(&path))?;
    for key in set["keys"].as_array_mut().into_iter().flatten() {
        let workload = WORKLOADS.iter().find(|(service, _)| key["kid"] == *service);
        if let Some((_, permissions)) = workload {
            key["permissions"] = json!(permissions);
        }
    }
    let granted = set.to_string();
    if granted == text {
        return Ok(());
    }
    let draft = folder.join(format!("workloads.{}", Uuid::now_v7().simple()));
    write(&draft, &granted)?;
    fs::rename(&draft, &path).map_err(Error::file(&path))
}

/// The public half first: where that is all there is, both are made anew.
fn make_log_key(folder: &Path) -> Result<(), Error> {
    let (pem, verifier_key) = transparency::generate().map_err(Error::file(folder))?;
    let verifier = folder.join("log.vkey");
    fs::write(&verifier, format!("{verifier_key}\n")).map_err(Error::file(&verifier))?;
    write(&folder.join(LOG_KEY), &pem)
}

/// Writes a new file that only its owner can read.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(
        |mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        },
    );
    written.map_err(Error::file(path))
}
