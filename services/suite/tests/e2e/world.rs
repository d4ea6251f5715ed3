//! The suite that most tests share, each in a tenant of its own.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use shared::clock::Clock;
use shared::ids::TenantId;
use shared::postgres::Durability;
use shared::principal::Grants;
use shared::testing::{channel, config};
use shared::token::{Claims, Signer};
use strongroom_proto::tenants::v1::tenant_service_client::TenantServiceClient;
use strongroom_proto::tenants::v1::{CreateTenantRequest, Tenant};
use suite::{Addresses, Clients, Databases, ISSUER, Options, Ports, Progress, Suite, start};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tonic::Request;
use uuid::Uuid;

use crate::trace;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// What is younger than this may be of a process that has just begun.
const OLD: Duration = Duration::from_secs(3_600);

/// Runs a test on the one runtime of the process, on which the shared suite runs too.
pub(crate) fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// The suite that tests share. It ends with the process, and its Postgres with it.
pub(crate) struct World {
    pub(crate) at: Addresses,
    signer: Signer,
    /// With which the checkpoints of its logs are verified.
    pub(crate) log_key: String,
    /// With the key of the accounts service.
    pub(crate) accounts_signer: Signer,
    _suite: Suite,
}

/// Starts the shared suite at the first call.
pub(crate) async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(|| Box::pin(boot())).await
}

async fn boot() -> World {
    trace::observe();
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for left in temporary.read_dir().unwrap().flatten() {
        // Where the Postgres of an earlier process is gone, so is the process.
        let is_old = || left.metadata().ok()?.modified().ok()?.elapsed().ok().map(|age| age > OLD);
        if is_old() == Some(true) && std::fs::remove_dir(left.path().join("postgres")).is_ok() {
            let _ = std::fs::remove_dir_all(left.path());
        }
    }
    let state = temporary.join(format!("e2e-{}", Uuid::now_v7()));
    let mut options = options(&state);
    // A caller without a token is refused here; the tests of the binary have the other case.
    options.issuer.require_token = true;
    // A slow machine is no failure: callers wait for a connection, and their deadlines decide.
    options.db.pool_wait = Duration::from_secs(60);
    options.server.default_deadline = Duration::from_secs(60);
    let suite = start(&options, prometheus::Registry::new(), &Progress::silent()).await.unwrap();
    let signer = suite.keys.issuer().unwrap();
    let pem = std::fs::read_to_string(state.join("keys/accounts.pem")).unwrap();
    let accounts_signer = Signer::from_pem("accounts", &pem).unwrap();
    let log_key = std::fs::read_to_string(state.join("keys/log.vkey")).unwrap();
    // Read at the start and not needed any more, but for the vault's: that is read again whenever
    // somebody gets a key of their own.
    for key in state.join("keys").read_dir().unwrap().flatten() {
        if key.file_name() != "kek.json" {
            std::fs::remove_file(key.path()).unwrap();
        }
    }
    World { at: suite.addresses, signer, log_key, accounts_signer, _suite: suite }
}

/// Options for a suite that nobody else meets and that leaves nothing behind.
pub(crate) fn options(state: &Path) -> Options {
    let mut options: Options = config(&[]);
    state.clone_into(&mut options.state);
    options.downloads = Some(downloads());
    options.ports = Ports::FREE;
    options.databases = Databases::default();
    options.durability = Durability::Throwaway;
    options
}

/// The folder in which a Postgres for development is kept, if one had to be downloaded.
pub(crate) fn downloads() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.strongroom")
}

/// A folder that goes at the end of the test, and that the user of a Postgres can pass.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().prefix("strongroom-").permissions(open).tempdir().unwrap()
}

impl World {
    /// A new tenant, in every service.
    pub(crate) async fn tenant(&self) -> TenantId {
        let tenant = TenantId::generate();
        let token = self.token(&claims(tenant, &["tenants.*"]));
        for address in [self.at.accounts, self.at.records, self.at.transactions] {
            let named = Tenant { display_name: "test".to_owned(), ..Tenant::default() };
            let mut request = Request::new(CreateTenantRequest {
                tenant: Some(named),
                tenant_id: tenant.uuid().to_string(),
                ..CreateTenantRequest::default()
            });
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
            TenantServiceClient::new(channel(address)).create_tenant(request).await.unwrap();
        }
        tenant
    }

    /// A caller with every permission in a tenant.
    pub(crate) fn caller(&self, tenant: TenantId) -> Clients {
        self.caller_with(&self.token(&claims(tenant, &["*"])))
    }

    /// A caller with this token.
    pub(crate) fn caller_with(&self, token: &str) -> Clients {
        Clients::new(self.at, Some(token)).unwrap()
    }

    /// A caller with every permission in a new tenant.
    pub(crate) async fn newcomer(&self) -> Clients {
        self.caller(self.tenant().await)
    }

    /// A token of the suite's own issuer.
    pub(crate) fn token(&self, claims: &Claims) -> String {
        self.signer.sign(claims).unwrap()
    }
}

/// Claims that hold for an hour.
pub(crate) fn claims(tenant: TenantId, permissions: &[&str]) -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: "strongroom".to_owned(),
        sub: "test".to_owned(),
        exp: now() + 3_600,
        tenants: vec![tenant.uuid()],
        permissions: Grants::new(permissions.iter().copied()),
        customer: None,
    }
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    u64::try_from(Clock::system().now().micros() / 1_000_000).unwrap()
}
