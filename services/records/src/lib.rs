//! Sealed, versioned and audited documents about persons.
//!
//! A call goes three hops: `rpc` (decode, handle, encode) -> `domain` (decide) -> `store` (SQL).
//! `vault` joins the keys in the store with the ladder in `seal`. This service calls no other.

mod config;
mod domain;
mod engine;
mod erasing;
mod error;
mod objects;
mod rotation;
mod rpc;
pub mod seal;
mod store;
mod sweeper;
mod tombstones;
mod uploads_sweep;
mod vault;

pub use config::{Config, Keys};

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{Base, BootError, Service, run_service};
use shared::clock::Clock;
use shared::db::Schema;
use shared::lane::Lanes;
use shared::transparency::LogKey;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use objects::Objects;
use rpc::{Rpc, Streams};
use seal::Keyring;
use sweeper::Sweeper;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// What is fixed of the service.
pub const SERVICE: Service = Service {
    schema: Schema { name: "records", migrations: &MIGRATIONS, binary: 1 },
    port: 7002,
    admin_port: 9002,
    operations: &[
        "approve-erasure",
        "cancel-erasure",
        "close-break-glass",
        "create-record",
        "create-record-type",
        "create-subject",
        "delete-record",
        "destroy-epoch",
        "erase-subject",
        "grant-consent",
        "open-break-glass",
        "place-legal-hold",
        "purge-record",
        "release-legal-hold",
        "review-break-glass",
        "revoke-consent",
        "rotate-key",
        "set-retention-interest",
        "undelete-record",
        "update-policy",
        "update-record",
        "update-record-type",
        "upload-record",
    ],
    describe: store::leaves::describe,
    locate: store::leaves::locate,
};

/// Serves until `shutdown`.
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
    let build = async |base: Base| {
        let rpc = rpc(base, &config)?;
        // A restored database is not served before it has forgotten again.
        let replayed = tokio::time::timeout(config.replay_timeout, tombstones::replay(&rpc)).await;
        let replayed = replayed.map_err(|_| "they take too long".to_owned());
        replayed
            .and_then(|replayed| replayed.map_err(|problem| problem.to_string()))
            .map_err(|error| BootError::Service(format!("tombstones: {error}")))?;
        let sweeper = Sweeper::new(rpc.clone(), config.sweep_interval);
        tasks.spawn(sweeper.run(stop.clone()));
        Ok(rpc.routes())
    };
    let served = run_service(SERVICE, listener, &config.common, clock, shutdown, build).await;
    drop(stopped);
    tasks.close();
    tasks.wait().await;
    served
}

fn rpc(base: Base, config: &Config) -> Result<Rpc, BootError> {
    let ring = Keyring::new(config.keys.provider()?, config.keys.limits());
    let vault = vault::Vault::new(base.db.clone(), base.clock.clone(), ring);
    let timeout = config.common.db.statement_timeout;
    let engine = || {
        let (session, owner) = base.db.session();
        let (keys, clock, nudge) = (vault.open_keys(), base.clock.clone(), base.nudge.clone());
        (engine::Engine { session, keys, clock, timeout, nudge }, owner)
    };
    let lanes = Lanes::start("records", &config.lane, engine)
        .map_err(|error| BootError::Service(format!("cannot start a thread: {error}")))?;
    let objects = Objects::open(&config.object_store, config.streams.object_timeout);
    let log_key = config.common.log.log_key.as_deref().map(LogKey::load).transpose()?;
    Ok(Rpc {
        db: base.db,
        tenants: base.tenants,
        clock: base.clock,
        nudge: base.nudge,
        events: base.events,
        sweep: Arc::default(),
        lanes,
        vault,
        lag: rotation::Lag::new(),
        types: rpc::Types::default(),
        objects: objects.map_err(|error| BootError::Service(error.to_string()))?,
        streams: Streams::new(&config.streams),
        log_key: log_key.map(Arc::new),
        shutdown: base.shutdown,
        message_bytes_max: config.common.server.max_message_bytes,
    })
}
