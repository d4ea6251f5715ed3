//! From the command line to a drained process, the same for every service:
//! configuration, telemetry, signals, database, schema check, serve, drain.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use uuid::Uuid;

use crate::changes::{Leaf, Subjects};
use crate::clock::Clock;
use crate::config::{self, Common};
use crate::db::{Db, DbError, MigrateError, Schema, Scope, check_schema, migrate, restore};
use crate::deadline::Deadline;
use crate::grpc::server::{ServeError, serve};
use crate::grpc::stack::Stack;
use crate::ids::TenantId;
use crate::rpc::{self, EventRpc};
use crate::sequence::{Describe, Heads, Locate, Nudge, Sequencer, Signing};
use crate::task;
use crate::telemetry::{self, Telemetry, TelemetryError};
use crate::tenants::Tenants;
use crate::time::Timestamp;
use crate::timeline;
use crate::token::{AuthError, Authenticator};
use crate::transparency::{
    Folder, LogKey, LogKeyError, PublishError, RestoredError, check_restored,
};

/// How long a scrape may take on shutdown.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// Why a service does not run.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Telemetry cannot start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The database cannot be set up.
    #[error("database: {0}")]
    Database(#[from] DbError),
    /// The schema cannot be served.
    #[error("schema: {0}")]
    Schema(#[from] MigrateError),
    /// The keys cannot be used.
    #[error("authentication: {0}")]
    Auth(#[from] AuthError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The key of the log cannot be used.
    #[error("log key: {0}")]
    LogKey(#[from] LogKeyError),
    /// Checkpoints cannot be kept.
    #[error("checkpoints: {0}")]
    Checkpoints(#[from] PublishError),
    /// The database is not the one that was served before.
    #[error("{0}")]
    Restored(#[from] RestoredError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The service itself cannot be set up.
    #[error("{0}")]
    Service(String),
}

/// What is fixed of a service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its schema, whose name is the service's.
    pub schema: Schema,
    /// The port of its contract.
    pub port: u16,
    /// The port of metrics and health over HTTP.
    pub admin_port: u16,
    /// The operations of its writes, by which their outcomes are asked for.
    pub operations: &'static [&'static str],
    /// What the log says of its changes.
    pub describe: Describe,
    /// When a resource was made.
    pub locate: Locate,
}

/// What the log says of changes of a service that records none but those that say it themselves.
pub fn undescribed(
    _: &mut diesel::PgConnection,
    _: TenantId,
    kind: &str,
    _: &Subjects,
) -> Result<Vec<Leaf>, DbError> {
    Err(DbError::Fault(format!("nobody knows changes of the kind {kind}")))
}

/// When a resource was made, in a service that does not say it.
pub fn unlocated(
    _: &mut diesel::PgConnection,
    _: TenantId,
    _: &str,
) -> Result<Option<Timestamp>, DbError> {
    Ok(None)
}

/// What a service is built on.
#[derive(Debug, Clone)]
pub struct Base {
    /// The database.
    pub db: Db,
    /// The tenants.
    pub tenants: Tenants,
    /// The time.
    pub clock: Clock,
    /// The history that the database is in.
    pub timeline: Uuid,
    /// To be told of every tenant for whom changes were committed.
    pub nudge: Nudge,
    /// What happened, for those who watch it.
    pub events: EventRpc,
    /// Cancelled when the service shall end. Background tasks watch it.
    pub shutdown: CancellationToken,
}

/// Serves a service until its shutdown: waits for the database, checks the schema, serves what
/// `build` makes, drains.
pub async fn run_service(
    service: Service,
    listener: TcpListener,
    config: &Common,
    clock: Clock,
    shutdown: CancellationToken,
    build: impl AsyncFnOnce(Base) -> Result<Routes, BootError>,
) -> Result<(), BootError> {
    let schema = config.database.schema.clone();
    let schema = schema.unwrap_or_else(|| service.schema.name.to_owned());
    if !await_schema(service.schema, &schema, config, &shutdown).await? {
        return Ok(());
    }
    let db = Db::new(&config.database.database_url, &schema, config.db.clone())?;
    let scope = Scope::tenantless(Deadline::after(config.db.statement_timeout));
    let timeline = db.read("read_timeline", scope, timeline::current).await?;
    let signing = signing(&service, &config.log, &db, timeline).await?;
    let heads = Heads::default();
    let sequencer =
        Sequencer::new(&service, &db, clock.clone(), &config.log, signing, heads.clone());
    let tenants = Tenants::new(db.clone());
    let authenticator = Authenticator::load(&config.auth, clock.clone())?;
    let stack = Stack::new(&config.server, authenticator, tenants.clone(), shutdown.clone());
    let events = EventRpc {
        db: db.clone(),
        clock: clock.clone(),
        tenants: tenants.clone(),
        service,
        timeline,
        heads,
        log: config.log.clone(),
        message_bytes_max: config.server.max_message_bytes,
        watchers: Arc::new(Semaphore::new(config.log.max_watchers)),
        shutdown: shutdown.clone(),
    };
    let (nudge, watched, shut) = (sequencer.nudge(), events.clone(), shutdown.clone());
    let base =
        Base { db: db.clone(), tenants, clock, timeline, nudge, events: watched, shutdown: shut };
    let routes = rpc::add(build(base).await?, events);
    let stop = shutdown.child_token();
    let sequencer = tokio::spawn(sequencer.run(stop.clone()));
    let served =
        serve(service.schema.name, listener, routes, stack, &config.server, &db, shutdown).await;
    // It ends with the server, for whatever reason that ends.
    stop.cancel();
    let ended = async {
        let _ = sequencer.await;
        db.drain().await;
    };
    // Writes whose callers are gone still run, bounded by their own statement timeouts.
    if tokio::time::timeout(config.server.drain, ended).await.is_err() {
        tracing::warn!("some units of work still ran at the end");
    }
    Ok(served?)
}

/// What signs the log's checkpoints. A database that is behind what was signed is not served.
async fn signing(
    service: &Service,
    config: &config::Log,
    db: &Db,
    timeline: Uuid,
) -> Result<Option<Signing>, BootError> {
    let folder = match &config.checkpoint_folder {
        Some(path) => {
            let folder = Folder::open(path, service.schema.name, timeline)?;
            check_restored(db, &folder, timeline).await?;
            Some(folder)
        }
        None => None,
    };
    let key = config.log_key.as_deref().map(LogKey::load).transpose()?;
    Ok(key.map(|key| Signing { key, folder, timeline }))
}

/// Waits for the database, however long it takes, and checks the schema. False on shutdown.
async fn await_schema(
    schema: Schema,
    name: &str,
    config: &Common,
    shutdown: &CancellationToken,
) -> Result<bool, BootError> {
    let mut delay = Duration::from_millis(100);
    loop {
        let (url, schema_name) = (config.database.database_url.clone(), name.to_owned());
        let checked = task::blocking(move || check_schema(&url, &schema_name, schema)).await;
        match checked.map_err(|panic| BootError::Service(panic.to_string()))? {
            Ok(()) => return Ok(true),
            Err(MigrateError::Connect(error)) => {
                let retry_s = delay.as_secs_f64();
                tracing::warn!(service = schema.name, %error, retry_s, "waiting for Postgres");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = tokio::time::sleep(delay) => {}
        }
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

/// The command line of a service's own binary.
#[derive(Debug, Parser)]
#[command(version, about)]
enum Cli<C: clap::Args> {
    /// Serve until SIGTERM or Ctrl-C
    Serve(Box<ServeArgs<C>>),
    /// Bring the schema up to date, as its owner
    Migrate(MigrateArgs),
    /// Begin a new timeline in a schema that was restored to an earlier state, as its owner
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Args)]
struct ServeArgs<C: clap::Args> {
    #[command(flatten)]
    config: C,
    /// The port of the contract, where it is not the service's own
    #[arg(long, env = "STRONGROOM_PORT")]
    port: Option<u16>,
    /// The port of metrics and health, where it is not the service's own
    #[arg(long, env = "STRONGROOM_ADMIN_PORT")]
    admin_port: Option<u16>,
    #[command(flatten)]
    telemetry: telemetry::Config,
}

#[derive(Debug, clap::Args)]
struct MigrateArgs {
    /// The Postgres URL of the owner role
    #[arg(long, env = "STRONGROOM_MIGRATE_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The schema, where it is not named like the service
    #[arg(long, env = "STRONGROOM_SCHEMA")]
    schema: Option<String>,
    #[command(flatten)]
    telemetry: telemetry::Config,
}

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    #[command(flatten)]
    owner: MigrateArgs,
    /// Yes: cursors of events from before are refused from now on, and checkpoints are signed anew
    #[arg(long)]
    confirm: bool,
}

/// `main` of a service: everything but the service itself.
pub fn main<C: clap::Args + AsRef<Common> + Send>(
    service: Service,
    serve: impl AsyncFnOnce(TcpListener, C, Clock, CancellationToken) -> Result<(), BootError>,
) -> ExitCode {
    let cli = config::parse::<Cli<C>>();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let result = match cli {
        Cli::Serve(args) => runtime.block_on(serve_command(service, *args, serve)),
        Cli::Migrate(args) => runtime.block_on(migrate_command(service, args)),
        Cli::Restore(args) => runtime.block_on(restore_command(service, args)),
    };
    // Tasks that were cut off must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

async fn serve_command<C: clap::Args + AsRef<Common>>(
    service: Service,
    args: ServeArgs<C>,
    serve: impl AsyncFnOnce(TcpListener, C, Clock, CancellationToken) -> Result<(), BootError>,
) -> Result<(), BootError> {
    let telemetry = Telemetry::start(service.schema.name, &args.telemetry)?;
    let shutdown = on_signal();
    let ip = args.config.as_ref().server.listen;
    let listener = listen((ip, args.port.unwrap_or(service.port)).into()).await?;
    let admin = listen((ip, args.admin_port.unwrap_or(service.admin_port)).into()).await?;
    let admin = tokio::spawn(serve_admin(admin, telemetry.registry(), shutdown.clone()));
    let result = serve(listener, args.config, Clock::system(), shutdown.clone()).await;
    shutdown.cancel();
    let _ = admin.await;
    telemetry.shutdown().await;
    result
}

async fn migrate_command(service: Service, args: MigrateArgs) -> Result<(), BootError> {
    let telemetry = Telemetry::start(service.schema.name, &args.telemetry)?;
    let schema = args.schema.unwrap_or_else(|| service.schema.name.to_owned());
    let migrated =
        task::blocking(move || migrate(&args.database_url, &schema, service.schema)).await;
    telemetry.shutdown().await;
    Ok(migrated.map_err(|panic| BootError::Service(panic.to_string()))??)
}

async fn restore_command(service: Service, args: RestoreArgs) -> Result<(), BootError> {
    let RestoreArgs { owner, confirm } = args;
    let schema = owner.schema.unwrap_or_else(|| service.schema.name.to_owned());
    if !confirm {
        return Err(BootError::Service(format!(
            "this begins a new timeline in the schema {schema}: whoever follows its events has to \
             begin anew. Do it once after a restore to an earlier state, with all services \
             stopped, by `restore --confirm`"
        )));
    }
    let telemetry = Telemetry::start(service.schema.name, &owner.telemetry)?;
    let begun = task::blocking(move || {
        migrate(&owner.database_url, &schema, service.schema)?;
        restore(&owner.database_url, &schema)
    });
    let begun = begun.await;
    if let Ok(Ok(timeline)) = &begun {
        tracing::info!(service = service.schema.name, %timeline, "began a timeline");
    }
    telemetry.shutdown().await;
    begun.map_err(|panic| BootError::Service(panic.to_string()))??;
    Ok(())
}

/// Listens on an address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|error| BootError::Listen(address, error))
}

/// Cancelled by SIGTERM or Ctrl-C.
pub fn on_signal() -> CancellationToken {
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = match signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => return tracing::error!(%error, "SIGTERM cannot be caught"),
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
            () = cancel.cancelled() => {}
        }
        cancel.cancel();
    });
    shutdown
}

/// Serves `/metrics` and `/healthz` until the shutdown.
pub async fn serve_admin(
    listener: TcpListener,
    registry: prometheus::Registry,
    shutdown: CancellationToken,
) {
    let router = axum::Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(async move || telemetry::scrape(&registry)));
    let served =
        axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        result = served.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the admin server failed");
            }
        }
        () = after(&shutdown, ADMIN_DRAIN) => {}
    }
}

async fn after(shutdown: &CancellationToken, grace: Duration) {
    shutdown.cancelled().await;
    tokio::time::sleep(grace).await;
}
