//! The services of a suite: their configurations, and the tasks that run them.

use std::net::SocketAddr;
use std::path::Path;

use clap::{Args, Command};
use prometheus::Registry;
use shared::boot::{BootError, serve_admin};
use shared::clock::Clock;
use shared::config::{Auth, Common, DatabaseUrl};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::database::{Database, Place};
use crate::doors::{Door, Doors};
use crate::error::Error;
use crate::keys::{ISSUER, Keys};
use crate::options::{Addresses, Options};
use crate::tenant::DEFAULT_TENANT;

/// The running services.
pub(crate) struct Services {
    tasks: JoinSet<(&'static str, Result<(), BootError>)>,
    shutdown: CancellationToken,
    registry: Registry,
}

impl Services {
    /// Starts all services on their listeners.
    pub(crate) fn start(
        options: &Options,
        keys: &Keys,
        database: &Database,
        doors: Doors,
        registry: Registry,
    ) -> Result<Self, Error> {
        let at = doors.addresses();
        let mut services =
            Self { tasks: JoinSet::new(), shutdown: CancellationToken::new(), registry };
        let config = accounts_config(options, keys, &database.accounts, at)?;
        services.spawn("accounts", doors.accounts, config, accounts::serve);
        let config = records_config(options, keys, &database.records)?;
        services.spawn("records", doors.records, config, records::serve);
        let config = transactions_config(options, keys, &database.transactions, at)?;
        services.spawn("transactions", doors.transactions, config, transactions::serve);
        Ok(services)
    }

    fn spawn<C, F, S>(&mut self, service: &'static str, door: Door, config: C, serve: S)
    where
        C: Send + 'static,
        F: Future<Output = Result<(), BootError>> + Send + 'static,
        S: FnOnce(TcpListener, C, Clock, CancellationToken) -> F + Send + 'static,
    {
        let (registry, shutdown) = (self.registry.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            // The admin server goes on during the drain: that is when it is looked at.
            let admin = CancellationToken::new();
            let admin_task = tokio::spawn(serve_admin(door.admin, registry, admin.clone()));
            let stop = admin.drop_guard();
            let served = serve(door.contract, config, Clock::system(), shutdown).await;
            drop(stop);
            let _ = admin_task.await;
            (service, served)
        });
    }

    /// Waits until a service ends by itself, which none should.
    pub(crate) async fn ended(&mut self) -> Error {
        match self.tasks.join_next().await {
            Some(Ok((service, Ok(())))) => {
                Error::Service { service, message: "nobody asked it to".to_owned() }
            }
            Some(Ok((service, Err(error)))) => {
                Error::Service { service, message: error.to_string() }
            }
            Some(Err(panic)) => panic.into(),
            None => std::future::pending().await,
        }
    }

    /// Lets every service drain, each within its own limit, and gives the first error.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.shutdown.cancel();
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = match ended {
                Ok((_, Ok(()))) => Ok(()),
                Ok((service, Err(error))) => {
                    Err(Error::Service { service, message: error.to_string() })
                }
                Err(panic) => Err(panic.into()),
            };
            result = result.and(ended);
        }
        result
    }
}

fn accounts_config(
    options: &Options,
    keys: &Keys,
    place: &Place,
    at: Addresses,
) -> Result<accounts::Config, Error> {
    let mut config: accounts::Config = configuration("accounts", &[])?;
    config.common = common("accounts", options, keys, place);
    config.peers = options.peers.clone();
    config.records = host_and_port(at.records);
    config.transactions = host_and_port(at.transactions);
    Ok(config)
}

fn records_config(options: &Options, keys: &Keys, place: &Place) -> Result<records::Config, Error> {
    let kek = keys.kek();
    let objects = objects(&options.state)?;
    let arguments = ["--kek-file", &kek.to_string_lossy(), "--object-store", &objects];
    let mut config: records::Config = configuration("records", &arguments)?;
    config.common = common("records", options, keys, place);
    config.keys.kek_file = Some(kek);
    Ok(config)
}

/// The folder of large bodies, as a URL.
fn objects(state: &Path) -> Result<String, Error> {
    let folder = state.join("objects");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let folder = folder.canonicalize().map_err(Error::file(&folder))?;
    let url = Url::from_directory_path(&folder);
    Ok(url.map_or_else(|()| format!("file://{}", folder.display()), String::from))
}

fn transactions_config(
    options: &Options,
    keys: &Keys,
    place: &Place,
    at: Addresses,
) -> Result<transactions::Config, Error> {
    let mut config: transactions::Config = configuration("transactions", &[])?;
    config.common = common("transactions", options, keys, place);
    config.peers = options.peers.clone();
    config.accounts = Some(host_and_port(at.accounts));
    config.records = Some(host_and_port(at.records));
    Ok(config)
}

/// A service's configuration from its own variables and defaults. What the suite decides is put in
/// its place afterwards, so the URL here is only there because it has to be.
fn configuration<C: Args>(service: &'static str, arguments: &[&str]) -> Result<C, Error> {
    let command = C::augment_args(Command::new(service).no_binary_name(true));
    let given = ["--database-url", "postgres://"].iter().chain(arguments);
    command
        .try_get_matches_from(given)
        .and_then(|matches| C::from_arg_matches(&matches))
        .map_err(|error| Error::Configuration { service, message: error.to_string() })
}

fn common(service: &'static str, options: &Options, keys: &Keys, place: &Place) -> Common {
    let issuer = &options.issuer;
    let workload_key = Some(keys.workload(service)).filter(|key| key.exists());
    let auth = Auth {
        token_issuer: issuer.token_issuer.clone().unwrap_or_else(|| ISSUER.to_owned()),
        token_audience: issuer.token_audience.clone(),
        token_jwks: Some(issuer.token_jwks.clone().unwrap_or_else(|| keys.issuer_jwks())),
        workload_jwks: Some(keys.workloads_jwks()),
        workload_key,
        dev_tenant: options.is_development().then_some(DEFAULT_TENANT.uuid()),
    };
    let database = DatabaseUrl { database_url: place.runtime.clone(), schema: None };
    let mut log = options.log.clone();
    log.log_key.get_or_insert_with(|| keys.log());
    log.checkpoint_folder.get_or_insert_with(|| options.state.join("checkpoints"));
    Common { database, db: options.db.clone(), server: options.server.clone(), auth, log }
}

fn host_and_port(address: SocketAddr) -> String {
    address.to_string()
}
