//! Configuration that every service has, from flags and `STRONGROOM_*` variables.
//!
//! Every key is in `--help`. A bad value ends the process with one line and exit code 64
//! (`EX_USAGE`).

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};

/// Seconds as a value of a flag, with decimals.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A limit as a value of a flag: with none of something nothing would ever be done.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number above zero".to_owned()),
        Ok(limit) => Ok(limit),
    }
}

/// What every service needs to serve.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The database of the service.
    #[command(flatten)]
    pub database: DatabaseUrl,
    /// The limits of the database layer.
    #[command(flatten)]
    pub db: crate::db::Config,
    /// The limits of the server.
    #[command(flatten)]
    pub server: Server,
    /// Who is believed.
    #[command(flatten)]
    pub auth: Auth,
    /// Events, and the log that proves them.
    #[command(flatten)]
    pub log: Log,
}

/// Where the service's schema is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseUrl {
    /// The Postgres URL of the runtime role
    #[arg(long, env = "STRONGROOM_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// The schema, where it is not named like the service
    #[arg(long, env = "STRONGROOM_SCHEMA")]
    pub schema: Option<String>,
}

/// The limits of the server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// The address to listen on
    #[arg(long, env = "STRONGROOM_LISTEN", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Seconds that a call may take where the caller sets no deadline
    #[arg(long, env = "STRONGROOM_DEADLINE", default_value = "10", value_parser = seconds)]
    pub default_deadline: Duration,
    /// Seconds that a call may take at most, whatever the caller says
    #[arg(long, env = "STRONGROOM_DEADLINE_MAX", default_value = "60", value_parser = seconds)]
    pub max_deadline: Duration,
    /// Seconds that a call may take in which the caller streams
    #[arg(long, env = "STRONGROOM_UPLOAD_MAX", default_value = "1800", value_parser = seconds)]
    pub max_upload: Duration,
    /// Calls that run at once; more are RESOURCE_EXHAUSTED
    #[arg(long, env = "STRONGROOM_CALLS_MAX", default_value = "4096", value_parser = at_least_one)]
    pub max_calls: usize,
    /// Connections that are open at once; more wait to be accepted
    #[arg(
        long,
        env = "STRONGROOM_CONNECTIONS_MAX",
        default_value = "1024",
        value_parser = at_least_one
    )]
    pub max_connections: usize,
    /// Bytes of a message at most, both ways
    #[arg(long, env = "STRONGROOM_MESSAGE_MAX", default_value_t = 4 * 1024 * 1024)]
    pub max_message_bytes: usize,
    /// Seconds between HTTP/2 pings on a quiet connection
    #[arg(long, env = "STRONGROOM_KEEPALIVE", default_value = "30", value_parser = seconds)]
    pub keepalive: Duration,
    /// Seconds after which a connection is closed gently, give or take a tenth, so that callers
    /// spread over new replicas
    #[arg(long, env = "STRONGROOM_CONNECTION_AGE", default_value = "1800", value_parser = seconds)]
    pub connection_age: Duration,
    /// Seconds that running calls have to end on shutdown
    #[arg(long, env = "STRONGROOM_DRAIN", default_value = "20", value_parser = seconds)]
    pub drain: Duration,
    /// Serve reflection, v1 and v1alpha
    #[arg(long, env = "STRONGROOM_REFLECTION", default_value_t = true, action = ArgAction::Set)]
    pub reflection: bool,
}

/// Who is believed.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub struct Auth {
    /// The issuer that tokens must name
    #[arg(long, env = "STRONGROOM_TOKEN_ISSUER", default_value = "")]
    pub token_issuer: String,
    /// The audience that tokens must name
    #[arg(long, env = "STRONGROOM_TOKEN_AUDIENCE", default_value = "strongroom")]
    pub token_audience: String,
    /// The issuer's public keys (JWKS, RFC 7517): Ed25519 or P-256
    #[arg(long, env = "STRONGROOM_TOKEN_JWKS")]
    pub token_jwks: Option<PathBuf>,
    /// The public keys of the other services (JWKS), each with its "permissions"
    #[arg(long, env = "STRONGROOM_WORKLOAD_JWKS")]
    pub workload_jwks: Option<PathBuf>,
    /// This service's own private key (PKCS #8 PEM, Ed25519), with which it calls the others
    #[arg(long, env = "STRONGROOM_WORKLOAD_KEY")]
    pub workload_key: Option<PathBuf>,
    /// Development only: a caller on loopback without a token is "dev" in this tenant
    #[arg(long, env = "STRONGROOM_DEV_TENANT")]
    pub dev_tenant: Option<uuid::Uuid>,
}

/// Events, and the log that proves them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Events and log")]
pub struct Log {
    /// Seconds between rounds in which committed changes become events
    #[arg(
        long,
        env = "STRONGROOM_SEQUENCE_INTERVAL",
        default_value = "0.1",
        value_parser = seconds
    )]
    pub sequence_interval: Duration,
    /// The private key that signs checkpoints of the log (PKCS #8 PEM, Ed25519); none is signed
    /// where it is absent
    #[arg(long, env = "STRONGROOM_LOG_KEY")]
    pub log_key: Option<PathBuf>,
    /// Seconds between two checkpoints of a tenant's log, where it grows
    #[arg(
        long,
        env = "STRONGROOM_CHECKPOINT_INTERVAL",
        default_value = "5",
        value_parser = seconds
    )]
    pub checkpoint_interval: Duration,
    /// The folder to whose files checkpoints are appended, apart from the database: with it the
    /// service refuses to serve a database that was set back. Without it that is not noticed
    #[arg(long, env = "STRONGROOM_CHECKPOINT_FOLDER")]
    pub checkpoint_folder: Option<PathBuf>,
    /// Days for which events are listed; the log keeps them for ever
    #[arg(
        long,
        env = "STRONGROOM_EVENT_RETENTION",
        default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=36_500)
    )]
    pub event_retention: u32,
    /// Seconds without an event after which a watcher gets a heartbeat
    #[arg(long, env = "STRONGROOM_HEARTBEAT", default_value = "10", value_parser = seconds)]
    pub heartbeat: Duration,
    /// Watchers at once; more are RESOURCE_EXHAUSTED
    #[arg(
        long,
        env = "STRONGROOM_WATCHERS_MAX",
        default_value = "256",
        value_parser = at_least_one
    )]
    pub max_watchers: usize,
}

/// Parses the command line. A bad value ends the process with exit code 64.
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 64 } else { 0 });
    })
}
