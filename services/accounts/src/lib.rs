//! Customers and the accounts that they hold.
//!
//! A request goes `rpc/<method>.rs` (decode, handle, encode) -> `domain/` (decide) -> `store/`
//! (SQL). What also needs a peer is stored as PENDING first, and finished by the call, by a repeat
//! of it, or by the reconciler.

mod clients;
mod config;
mod deliverer;
mod domain;
mod error;
mod reconciler;
mod rpc;
mod store;
mod sweeper;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{Base, BootError, Service, run_service, undescribed};
use shared::clock::Clock;
use shared::db::Schema;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use clients::{Ledger, Records};
pub use config::Config;
use deliverer::Deliverer;
pub use domain::{diagrams, effects};
pub use reconciler::Config as ReconcilerConfig;
use reconciler::Reconciler;
pub use sweeper::Config as SweeperConfig;
use sweeper::Sweeper;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// What is fixed of this service.
pub const SERVICE: Service = Service {
    schema: Schema { name: "accounts", migrations: &MIGRATIONS, binary: 1 },
    port: 7001,
    admin_port: 9001,
    operations: &[
        "activate-customer",
        "add-holder",
        "add-relationship",
        "approve-kyc",
        "close-account",
        "close-customer",
        "create-account",
        "create-customer",
        "expire-kyc",
        "freeze-account",
        "freeze-customer",
        "mark-dormant",
        "reactivate-account",
        "reinstate-customer",
        "reject-kyc",
        "remove-holder",
        "remove-relationship",
        "reopen-account",
        "set-limits",
        "submit-kyc",
        "suspend-customer",
        "unfreeze-account",
        "unfreeze-customer",
        "update-account",
        "update-customer",
        "update-holder",
    ],
    describe: undescribed,
    locate: store::events::locate,
};

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
    // What calls began is bounded by their deadlines; the database is closed to it by now.
    if tokio::time::timeout(config.common.server.drain, tasks.wait()).await.is_err() {
        tracing::warn!("some calls were still at work at the end");
    }
    served
}

fn routes(
    base: Base,
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Routes, BootError> {
    let peers = config.peers(&base.clock, stop)?;
    let limit = config.common.server.max_message_bytes;
    let records = Records::new(peers.records, limit, config.retention_years);
    let sweeper = Sweeper {
        config: config.sweeper.clone(),
        db: base.db.clone(),
        clock: base.clock.clone(),
        tenants: base.tenants.clone(),
        records: records.clone(),
        nudge: base.nudge.clone(),
    };
    tasks.spawn(sweeper.run(stop.clone()));
    let deliverer = Deliverer {
        db: base.db.clone(),
        clock: base.clock.clone(),
        ledger: Ledger::new(peers.transactions, base.timeline),
        nudge: base.nudge.clone(),
    };
    let reconciler = Reconciler {
        config: config.reconciler.clone(),
        tenants: base.tenants,
        deliverer: deliverer.clone(),
    };
    tasks.spawn(reconciler.run(stop.clone()));
    let rpc = rpc::Rpc {
        db: base.db,
        clock: base.clock,
        records,
        nudge: base.nudge,
        deliverer,
        reopen_window: config.reopen_window,
        tasks: tasks.clone(),
        message_bytes_max: limit,
    };
    Ok(rpc.routes())
}
