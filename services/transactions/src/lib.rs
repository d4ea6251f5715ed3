//! Transactions: double entry on Postgres, exact and atomic.
//!
//! A request goes `rpc/<method>.rs` (decode, handle, encode) -> `domain/` (decide) -> `store/`
//! (SQL). What posts goes through `engine/`, which does so for many callers at once.

mod clients;
mod domain;
mod engine;
mod error;
mod expirer;
mod rpc;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{Base, BootError, Service, run_service};
use shared::clock::Clock;
use shared::config::{Common, seconds};
use shared::db::Schema;
use shared::grpc::client::{self, Peer};
use shared::lane::{self, Lanes};
use shared::token::WorkloadSigner;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::expirer::Expirer;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// What is fixed of this service.
pub const SERVICE: Service = Service {
    schema: Schema { name: "transactions", migrations: &MIGRATIONS, binary: 1 },
    port: 7003,
    admin_port: 9003,
    operations: &[
        "capture-hold",
        "close-ledger-account",
        "create-hold",
        "create-transaction",
        "execute-batch",
        "extend-hold",
        "increase-hold",
        "register-currency",
        "register-ledger-account",
        "release-hold",
        "reverse-transaction",
        "set-ledger-controls",
    ],
};

/// The configuration of this service.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
    /// The limits of the posting engine.
    #[command(flatten)]
    pub lane: lane::Config,
    /// The limits of calls to peers.
    #[command(flatten)]
    pub peers: client::Config,
    /// Seconds between looks for holds that have expired on accounts where nothing else happens
    #[arg(long, env = "STRONGROOM_EXPIRY_INTERVAL", default_value = "30", value_parser = seconds)]
    pub expiry_interval: Duration,
    /// The accounts service as host:port, which is asked about accounts that the ledger does not
    /// know; nobody is asked where it is absent
    #[arg(long, env = "STRONGROOM_ACCOUNTS_ADDRESS", help_heading = "Peers")]
    pub accounts: Option<String>,
}

impl AsRef<Common> for Config {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// Serves until `shutdown`, then drains.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), BootError> {
    let tasks = TaskTracker::new();
    // Background work ends with the server, for whatever reason that ends.
    let stop = shutdown.child_token();
    let stopped = stop.clone().drop_guard();
    let build = async |base: Base| routes(base, &config, &tasks, &stop);
    let served = run_service(SERVICE, listener, &config.common, clock, shutdown, build).await;
    drop(stopped);
    tasks.close();
    tasks.wait().await;
    served
}

fn routes(
    base: Base,
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Routes, BootError> {
    let auth = &config.common.auth;
    let signer = |path: &Path| {
        let clock = base.clock.clone();
        WorkloadSigner::load(SERVICE.schema.name, path, &auth.token_audience, clock).map(Arc::new)
    };
    let signer = auth.workload_key.as_deref().map(signer).transpose()?;
    let shutdown = &base.shutdown;
    let peer = |address: &String| {
        Peer::new("accounts", address, &config.peers, signer.clone(), shutdown.clone())
    };
    let accounts = config.accounts.as_ref().map(peer).map(clients::Accounts::new);
    let timeout = config.common.db.statement_timeout;
    let engine = || {
        let (session, owner) = base.db.session();
        (engine::Engine { session, clock: base.clock.clone(), timeout }, owner)
    };
    let lanes = Lanes::start("postings", &config.lane, engine)
        .map_err(|error| BootError::Service(format!("cannot start a thread: {error}")))?;
    let expirer = Expirer {
        interval: config.expiry_interval,
        tenants: base.tenants,
        db: base.db.clone(),
        clock: base.clock.clone(),
        lanes: lanes.clone(),
    };
    tasks.spawn(expirer.run(stop.clone()));
    let rpc = rpc::Rpc {
        currencies: rpc::Currencies::new(base.db.clone()),
        db: base.db,
        clock: base.clock,
        lanes,
        accounts,
        message_bytes_max: config.common.server.max_message_bytes,
    };
    Ok(rpc.routes())
}
