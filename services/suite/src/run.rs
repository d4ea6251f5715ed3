//! A running suite: how it comes up, and how it ends.

use std::path::PathBuf;

use prometheus::Registry;
use shared::postgres::Cluster;
use shared::task;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::doors::Doors;
use crate::error::Error;
use crate::keys::Keys;
use crate::options::{Addresses, Options};
use crate::progress::Progress;
use crate::services::Services;
use crate::tenant;

/// All services, and the Postgres below them if it is theirs.
///
/// The fields end in this order where the suite is dropped: the services before the database.
pub struct Suite {
    /// Where the services are called.
    pub addresses: Addresses,
    /// Where their metrics and health are.
    pub admin_addresses: Addresses,
    /// The secrets.
    pub keys: Keys,
    /// The folder of the private Postgres, where there is one.
    pub postgres: Option<PathBuf>,
    services: Services,
    cluster: Option<Cluster>,
}

/// Brings up a suite: listeners, keys, Postgres, schemas, services, the tenant "default".
///
/// The metrics of all services are in one registry, which is served on each of the admin ports.
pub async fn start(
    options: &Options,
    registry: Registry,
    progress: &Progress,
) -> Result<Suite, Error> {
    let doors = Doors::open(options).await?;
    let (addresses, admin_addresses) = (doors.addresses(), doors.admin_addresses());
    let keys = Keys::open_or_create(&options.state)?;
    let mut database = Database::find(options, &keys, progress).await?;
    progress.step("schemas", database.migrate(progress)).await?;
    let mut services = Services::start(options, &keys, &database, doors, registry)?;
    let ready = async {
        tokio::select! {
            ready = tenant::create_default(options, &keys, addresses, progress) => ready,
            error = services.ended() => Err(error),
        }
    };
    progress.step("services", Box::pin(ready)).await?;
    let postgres = database.folder();
    let cluster = database.cluster.take();
    Ok(Suite { addresses, admin_addresses, keys, postgres, services, cluster })
}

impl Suite {
    /// Runs until the shutdown, or until a service ends by itself, which ends the others.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            error = self.services.ended() => Err(error),
        };
        ended.and(self.stop().await)
    }

    /// Drains all services, each within its own limit, and then stops the private Postgres.
    pub async fn stop(self) -> Result<(), Error> {
        let served = self.services.stop().await;
        let stopped = match self.cluster {
            Some(cluster) => task::blocking(move || cluster.stop()).await?.map_err(Error::from),
            None => Ok(()),
        };
        served.and(stopped)
    }
}
