//! Sealed, versioned and audited documents about persons.
//!
//! A call goes three hops: `rpc` (decode, handle, encode) -> `domain` (decide) -> `store` (SQL).
//! `vault` joins the keys in the store with the ladder in `seal`. This service calls no other.

mod config;
mod domain;
mod error;
mod rpc;
pub mod seal;
mod store;
mod vault;

pub use config::{Config, Keys};

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{Base, BootError, Service, run_service, undescribed, unlocated};
use shared::clock::Clock;
use shared::db::Schema;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use seal::{FileProvider, Keyring};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// What is fixed of the service.
pub const SERVICE: Service = Service {
    schema: Schema { name: "records", migrations: &MIGRATIONS, binary: 1 },
    port: 7002,
    admin_port: 9002,
    operations: &["create-subject", "create-record"],
    describe: undescribed,
    locate: unlocated,
};

/// Serves until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), BootError> {
    let build = async |base: Base| routes(base, &config);
    run_service(SERVICE, listener, &config.common, clock, shutdown, build).await
}

fn routes(base: Base, config: &Config) -> Result<Routes, BootError> {
    let provider = FileProvider::open(&config.keys.kek_file);
    let provider = provider.map_err(|error| BootError::Service(error.to_string()))?;
    let ring = Keyring::new(Arc::new(provider), config.keys.limits());
    let vault = vault::Vault::new(base.db.clone(), base.clock.clone(), ring);
    let rpc = rpc::Rpc { db: base.db, clock: base.clock, vault };
    Ok(rpc.routes(config.common.server.max_message_bytes))
}
