//! Where is measured: a Postgres of its own with pinned settings, and books with accounts.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shared::clock::Clock;
use shared::db::migrate;
use shared::postgres::{self, Cluster, Durability, ServiceUrls, provision, service_urls};
use shared::principal::Grants;
use shared::task::blocking;
use shared::token::{Claims, Signer};
use strongroom_proto::common::v1::Money;
use strongroom_proto::tenants::v1 as tenants;
use strongroom_proto::transactions::v1 as wire;
use tempfile::TempDir;
use tenants::tenant_service_client::TenantServiceClient;
use tonic::Request;
use tonic::metadata::MetadataValue;
use uuid::Uuid;
use wire::ledger_service_client::LedgerServiceClient;

use super::child::Service;
use super::error::BenchError;
use super::load::{Book, CURRENCY, account_id};
use super::sql::Admin;
use crate::client::channel;
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
    ("wal_compression", "off"),
    ("shared_buffers", "1GB"),
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
/// How far an account may be overdrawn, in major units: the bound is checked and never reached.
const OVERDRAFT: &str = "1000000000";
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
    /// Brings up Postgres with the schema of the ledger. Blocks.
    pub(super) fn bring_up(options: &Options, say: &dyn Fn(&str)) -> Result<Self, Error> {
        let folder = temporary(&options.state)?;
        let downloads = options.downloads.as_ref().unwrap_or(&options.state);
        let state = folder.path().join("postgres");
        let mut settings = postgres::Options::new(state, downloads, Durability::Durable);
        settings.settings =
            SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let cluster = Cluster::start(&settings, say)?;
        let password = postgres::random_password()?;
        provision(cluster.url(), &password)?;
        let schema = transactions::SERVICE.schema;
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
        ]
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

    fn token(&self, tenant: Uuid) -> Result<String, BenchError> {
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

/// The tenants with accounts.
pub(super) struct Books {
    /// The one of the floor "same rows".
    pub(super) floor: Uuid,
    /// The one that has all accounts.
    pub(super) one: Vec<Book>,
    /// Those that share them, where there are several.
    pub(super) many: Vec<Book>,
}

impl Books {
    /// Opens books with so many accounts, for one tenant and for so many others. The service
    /// writes one tenant and one account; all others are copies of these.
    pub(super) async fn open(
        place: &Place,
        accounts: u64,
        tenants: usize,
    ) -> Result<Self, BenchError> {
        let one = tenant(0);
        let floor = tenant(1);
        let many: Vec<Uuid> = (0..tenants).map(|index| tenant(index + 2)).collect();
        let service = Service::start(&place.variables()).await?;
        register(&service, place, one).await?;
        service.stop().await?;
        let share = (accounts / tenants.max(1) as u64).max(2);
        let (url, others) = (place.admin_url(), many.clone());
        let copied = blocking(move || {
            let mut admin = Admin::connect(&url)?;
            admin.copy_tenant(one, &[floor])?;
            admin.copy_tenant(one, &others)?;
            admin.copy_account(one, &[floor], accounts)?;
            admin.copy_account(one, &others, share)?;
            admin.copy_account(one, &[one], accounts)?;
            admin.vacuum()?;
            admin.make_floors(accounts)
        });
        copied.await.map_err(|panic| BenchError::Service(panic.to_string()))??;
        let book = |tenant, accounts| Ok(Book { token: place.token(tenant)?, accounts });
        Ok(Self {
            floor,
            one: vec![book(one, accounts)?],
            many: many
                .into_iter()
                .map(|tenant| book(tenant, share))
                .collect::<Result<_, BenchError>>()?,
        })
    }
}

/// The id of a tenant by its number.
fn tenant(number: usize) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_1000 + number as u128)
}

/// Has the service write a tenant, and the first of its accounts.
async fn register(service: &Service, place: &Place, tenant: Uuid) -> Result<(), BenchError> {
    let failed = |what: &str| BenchError::Service(what.to_owned());
    let channel = channel(service.address).map_err(|error| failed(&error.to_string()))?;
    let bearer: MetadataValue<_> = format!("Bearer {}", place.token(tenant)?)
        .parse()
        .map_err(|_| failed("a token is not ASCII"))?;
    let mut request = Request::new(tenants::CreateTenantRequest {
        tenant: Some(tenants::Tenant { display_name: "bench".to_owned(), ..Default::default() }),
        tenant_id: tenant.to_string(),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", bearer.clone());
    let created = TenantServiceClient::new(channel.clone()).create_tenant(request).await;
    created.map_err(|status| failed(status.message()))?;
    let limit = Money { currency: CURRENCY.to_owned(), amount: OVERDRAFT.to_owned() };
    let account = wire::LedgerAccount {
        currency: CURRENCY.to_owned(),
        class: wire::AccountClass::Liability.into(),
        overdraft: Some(wire::Overdraft { bound: Some(wire::overdraft::Bound::Limit(limit)) }),
        ..Default::default()
    };
    let mut request = Request::new(wire::RegisterLedgerAccountRequest {
        account: Some(account),
        account_id: account_id(1),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", bearer);
    let registered = LedgerServiceClient::new(channel).register_ledger_account(request).await;
    registered.map_err(|status| failed(status.message()))?;
    Ok(())
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
