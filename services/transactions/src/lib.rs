//! Transactions: double entry on Postgres, exact and atomic.
//!
//! A request goes `rpc/<method>.rs` (decode, handle, encode) -> `domain/` (decide) -> `store/`
//! (SQL). What posts goes through `engine/`, which does so for many callers at once.

mod auditor;
mod clients;
mod domain;
mod engine;
mod eraser;
mod error;
mod expirer;
mod rpc;
mod store;
mod verifier;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{Base, BootError, Service, run_service};
use shared::clock::Clock;
use shared::config::{Common, at_least_one, seconds};
use shared::db::Schema;
use shared::grpc::client::{self, Peer};
use shared::lane::{self, Lanes};
use shared::token::WorkloadSigner;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::auditor::Auditor;
use crate::eraser::Eraser;
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
        "close-period",
        "create-hold",
        "create-statement",
        "create-transaction",
        "execute-batch",
        "extend-hold",
        "increase-hold",
        "redact-hold",
        "redact-transaction",
        "register-currency",
        "register-ledger-account",
        "release-hold",
        "reopen-ledger-account",
        "reopen-period",
        "resolve-mismatch",
        "reverse-transaction",
        "set-ledger-controls",
        "soft-close-period",
    ],
    describe: store::leaves::describe,
    locate: store::leaves::locate,
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
    /// Seconds between slices of the background audit; 0 turns it off
    #[arg(long, env = "STRONGROOM_AUDIT_INTERVAL", default_value = "1", value_parser = seconds)]
    pub audit_interval: Duration,
    /// Entries that a slice of the background audit looks at, about
    #[arg(
        long,
        env = "STRONGROOM_AUDIT_SLICE",
        default_value = "4096",
        value_parser = at_least_one
    )]
    pub audit_slice: usize,
    /// Verifications of the books that run at once, each on a connection and a thread of its own;
    /// more are RESOURCE_EXHAUSTED
    #[arg(
        long,
        env = "STRONGROOM_VERIFICATIONS_MAX",
        default_value = "1",
        value_parser = at_least_one
    )]
    pub verifications_max: usize,
    /// The accounts service as host:port, which is asked about accounts that the ledger does not
    /// know; nobody is asked where it is absent
    #[arg(long, env = "STRONGROOM_ACCOUNTS_ADDRESS", help_heading = "Peers")]
    pub accounts: Option<String>,
    /// The records service as host:port, which says who was erased; erasures are not followed where
    /// it is absent
    #[arg(long, env = "STRONGROOM_RECORDS_ADDRESS", help_heading = "Peers")]
    pub records: Option<String>,
    /// How eagerly erasures are followed.
    #[command(flatten)]
    pub eraser: eraser::Config,
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
    let peer = |name: &'static str, address: &String| {
        Peer::new(name, address, &config.peers, signer.clone(), shutdown.clone())
    };
    let accounts = config.accounts.as_ref().map(|address| peer("accounts", address));
    let accounts = accounts.map(clients::Accounts::new);
    let records = config.records.as_ref().map(|address| peer("records", address));
    follow_erasures(&base, config, records, tasks, stop);
    let timeout = config.common.db.statement_timeout;
    let engine = || {
        let (session, owner) = base.db.session();
        let (clock, nudge) = (base.clock.clone(), base.nudge.clone());
        (engine::Engine { session, clock, timeout, nudge }, owner)
    };
    let lanes = Lanes::start("postings", &config.lane, engine)
        .map_err(|error| BootError::Service(format!("cannot start a thread: {error}")))?;
    if !config.audit_interval.is_zero() {
        let auditor = Auditor {
            interval: config.audit_interval,
            slice: i64::try_from(config.audit_slice).unwrap_or(i64::MAX),
            tenants: base.tenants.clone(),
            db: base.db.clone(),
            clock: base.clock.clone(),
        };
        tasks.spawn(auditor.run(stop.clone()));
    }
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
        timeline: base.timeline,
        lanes,
        nudge: base.nudge,
        accounts,
        verifications: Arc::new(Semaphore::new(config.verifications_max)),
        shutdown: stop.clone(),
        message_bytes_max: config.common.server.max_message_bytes,
    };
    Ok(rpc.routes())
}

/// Redacts whom records erases, where there is a records service to ask.
fn follow_erasures(
    base: &Base,
    config: &Config,
    records: Option<Peer>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let Some(peer) = records else {
        tracing::info!("erasures are not followed: there is no address of a records service");
        return;
    };
    let eraser = Eraser {
        config: config.eraser.clone(),
        db: base.db.clone(),
        clock: base.clock.clone(),
        tenants: base.tenants.clone(),
        records: clients::Records::new(peer, config.common.server.max_message_bytes),
        nudge: base.nudge.clone(),
    };
    tasks.spawn(eraser.run(stop.clone()));
}
