//! Where is measured: a Postgres of its own with pinned settings.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shared::clock::Clock;
use shared::db::{Schema, migrate};
use shared::postgres::{self, Cluster, Durability, ServiceUrls, provision, service_urls};
use shared::principal::Grants;
use shared::token::{Claims, Signer};
use tempfile::TempDir;
use uuid::Uuid;

use super::error::BenchError;
use super::sql::Admin;
use crate::error::Error;
use crate::keys::{ISSUER, Keys};
use crate::options::Options;

/// The settings of Postgres that bear upon the figures. Nothing that an acknowledged commit needs
/// is turned off, and checkpoints come often enough that every run has some.
const SETTINGS: [(&str, &str); 13] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_level", "replica"),
    ("wal_compression", "lz4"),
    ("shared_buffers", "4GB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1min"),
    ("checkpoint_completion_target", "0.9"),
    ("autovacuum", "on"),
    ("commit_delay", "0"),
    ("max_connections", "200"),
    ("jit", "off"),
];
/// The audience of the tokens.
const AUDIENCE: &str = "strongroom";
/// How long a token holds: longer than any run.
const TOKEN_SECONDS: u64 = 7 * 86_400;
/// How often the disk is asked how long a flush takes, and how much is written each time.
const FLUSHES: usize = 200;
const FLUSHED: [u8; 8_192] = [0; 8_192];

/// Where is measured. The fields end in this order: Postgres before its folder.
pub(super) struct Place {
    cluster: Cluster,
    urls: ServiceUrls,
    password: String,
    signer: Signer,
    keys: Keys,
    folder: TempDir,
}

impl Place {
    /// Brings up Postgres with the schema of a service. Blocks.
    pub(super) fn bring_up(
        options: &Options,
        schema: Schema,
        say: &dyn Fn(&str),
    ) -> Result<Self, Error> {
        let folder = temporary(&options.state)?;
        let downloads = options.downloads.as_ref().unwrap_or(&options.state);
        let state = folder.path().join("postgres");
        let mut settings = postgres::Options::new(state, downloads, Durability::Durable);
        settings.settings =
            SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let cluster = Cluster::start(&settings, say)?;
        let password = postgres::random_password()?;
        provision(cluster.url(), &password)?;
        let urls = service_urls(cluster.url(), &password, schema.name)?;
        migrate(&urls.owner, schema.name, schema)
            .map_err(|source| Error::Migrate { schema: schema.name, source })?;
        let keys = Keys::open_or_create(folder.path())?;
        let signer = keys.issuer()?;
        Ok(Self { cluster, urls, password, signer, keys, folder })
    }

    /// Stops Postgres and deletes everything. Blocks.
    pub(super) fn take_down(self) -> Result<(), Error> {
        let base = self.cluster.folder().to_owned();
        self.cluster.stop()?;
        // As root it may live elsewhere, where the folder does not take it along.
        fs::remove_dir_all(&base).map_err(Error::file(&base))?;
        let path = self.folder.path().to_owned();
        self.folder.close().map_err(Error::file(&path))
    }

    /// A superuser's connection. Blocks.
    pub(super) fn admin(&self) -> Result<Admin, BenchError> {
        Admin::connect(self.cluster.url())
    }

    /// The URL of the superuser, for connections from other threads.
    pub(super) fn admin_url(&self) -> String {
        self.cluster.url().to_owned()
    }

    /// The URL of the owner of the schema.
    pub(super) fn owner_url(&self) -> &str {
        &self.urls.owner
    }

    /// The password of the runtime role.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// A folder for what is in passing.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The variables with which a service serves this database and believes these tokens.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("STRONGROOM_DATABASE_URL", self.urls.runtime.clone()),
            ("STRONGROOM_TOKEN_ISSUER", ISSUER.to_owned()),
            ("STRONGROOM_TOKEN_JWKS", self.keys.issuer_jwks().to_string_lossy().into_owned()),
            ("STRONGROOM_TOKEN_AUDIENCE", AUDIENCE.to_owned()),
            // As in production: checkpoints of the log are signed, and kept outside Postgres.
            ("STRONGROOM_LOG_KEY", self.keys.log().to_string_lossy().into_owned()),
            (
                "STRONGROOM_CHECKPOINT_FOLDER",
                self.folder.path().join("checkpoints").to_string_lossy().into_owned(),
            ),
        ]
    }

    /// The variables with which records is served here: the keys, and a folder for large bodies.
    pub(super) fn records_variables(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut variables = self.variables();
        variables.extend(self.vault()?);
        Ok(variables)
    }

    /// Those of them that records alone needs.
    pub(super) fn vault(&self) -> Result<[(&'static str, String); 2], Error> {
        let objects = self.folder.path().join("objects");
        fs::create_dir_all(&objects).map_err(Error::file(&objects))?;
        Ok([
            ("STRONGROOM_KEK_FILE", self.keys.kek().to_string_lossy().into_owned()),
            ("STRONGROOM_OBJECT_STORE", format!("file://{}", objects.display())),
        ])
    }

    /// Makes the schema of another service, and gives the variables with which it is served and
    /// believes the others. Blocks.
    pub(super) fn beside(&self, schema: Schema) -> Result<Vec<(&'static str, String)>, Error> {
        let urls = service_urls(self.cluster.url(), &self.password, schema.name)?;
        migrate(&urls.owner, schema.name, schema)
            .map_err(|source| Error::Migrate { schema: schema.name, source })?;
        let mut variables = self.believing(schema.name);
        variables.retain(|(name, _)| *name != "STRONGROOM_DATABASE_URL");
        variables.push(("STRONGROOM_DATABASE_URL", urls.runtime));
        Ok(variables)
    }

    /// The variables with which a service believes the others, and is believed by them.
    pub(super) fn believing(&self, service: &str) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut variables = self.variables();
        variables.push(("STRONGROOM_WORKLOAD_JWKS", text(self.keys.workloads_jwks())));
        let key = self.keys.workload(service);
        if key.exists() {
            variables.push(("STRONGROOM_WORKLOAD_KEY", text(key)));
        }
        variables
    }

    /// The settings of Postgres, as it says them itself. Blocks.
    pub(super) fn settings(&self) -> Result<Vec<(&'static str, String)>, BenchError> {
        let mut admin = self.admin()?;
        let names = ["server_version", "wal_sync_method"].into_iter();
        let names = names.chain(SETTINGS.iter().map(|(name, _)| *name));
        names.map(|name| Ok((name, admin.setting(name)?))).collect()
    }

    /// How long a write and a flush take on the disk below Postgres: the median. Blocks.
    pub(super) fn flush_time(&self) -> Result<Duration, Error> {
        let path = self.cluster.folder().join("flush");
        let failed = || Error::file(&path);
        let mut file = File::create(&path).map_err(failed())?;
        let mut times = Vec::with_capacity(FLUSHES);
        for _ in 0..FLUSHES {
            let began = Instant::now();
            file.write_all(&FLUSHED).and_then(|()| file.sync_data()).map_err(failed())?;
            times.push(began.elapsed());
        }
        fs::remove_file(&path).map_err(failed())?;
        times.sort_unstable();
        Ok(times[FLUSHES / 2])
    }

    /// A token for all that there is to do in a tenant.
    pub(super) fn token(&self, tenant: Uuid) -> Result<String, BenchError> {
        let now = u64::try_from(Clock::system().now().micros() / 1_000_000).unwrap_or(0);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: "bench".to_owned(),
            exp: now + TOKEN_SECONDS,
            tenants: vec![tenant],
            permissions: Grants::new(["*", "tenants.*"]),
            customer: None,
        };
        self.signer.sign(&claims).map_err(|error| BenchError::Service(error.to_string()))
    }
}

/// A folder that goes when the run ends. The user of a private Postgres has to pass it.
fn temporary(state: &Path) -> Result<TempDir, Error> {
    fs::create_dir_all(state).map_err(Error::file(state))?;
    // Absolute, because the services and pgbench are told of it.
    let state: PathBuf = state.canonicalize().map_err(Error::file(state))?;
    tempfile::Builder::new()
        .prefix("bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(&state)
        .map_err(Error::file(&state))
}
