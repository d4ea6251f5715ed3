//! What a suite can be told, by flags and by `STRONGROOM_*` variables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use shared::postgres::Durability;
use shared::{config, db, grpc};

/// What a suite can be told.
///
/// What is not here can be told to the services by their own variables, such as
/// `STRONGROOM_KEY_CACHE_TTL`: the `--help` of `accounts serve`, `records serve` and `transactions
/// serve` lists them.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The folder that keeps keys, passwords and the private Postgres
    #[arg(long, env = "STRONGROOM_STATE", default_value = ".strongroom", global = true)]
    pub state: PathBuf,
    /// The folder that keeps a downloaded Postgres, where that is not the state folder
    #[arg(long, env = "STRONGROOM_DOWNLOADS")]
    pub downloads: Option<PathBuf>,
    /// The ports.
    #[command(flatten)]
    pub ports: Ports,
    /// Where Postgres is.
    #[command(flatten)]
    pub databases: Databases,
    /// Who is believed.
    #[command(flatten)]
    pub issuer: Issuer,
    /// The limits of each service's server.
    #[command(flatten)]
    pub server: config::Server,
    /// The limits of each service's database layer.
    #[command(flatten)]
    pub db: db::Config,
    /// Events, and the log that proves them; the suite has a key and a folder of its own.
    #[command(flatten)]
    pub log: config::Log,
    /// The limits of calls between the services.
    #[command(flatten)]
    pub peers: grpc::client::Config,
    /// What the data of a private Postgres is worth.
    #[arg(skip = Durability::Durable)]
    pub durability: Durability,
}

/// The ports. 0 takes a free one.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Ports (0 takes a free one)")]
pub struct Ports {
    /// The port of accounts
    #[arg(long, env = "STRONGROOM_ACCOUNTS_PORT", default_value_t = accounts::SERVICE.port)]
    pub accounts_port: u16,
    /// The port of records
    #[arg(long, env = "STRONGROOM_RECORDS_PORT", default_value_t = records::SERVICE.port)]
    pub records_port: u16,
    /// The port of transactions
    #[arg(long, env = "STRONGROOM_TRANSACTIONS_PORT", default_value_t = transactions::SERVICE.port)]
    pub transactions_port: u16,
    /// The port of metrics and health of accounts
    #[arg(
        long,
        env = "STRONGROOM_ACCOUNTS_ADMIN_PORT",
        default_value_t = accounts::SERVICE.admin_port
    )]
    pub accounts_admin_port: u16,
    /// The port of metrics and health of records
    #[arg(
        long,
        env = "STRONGROOM_RECORDS_ADMIN_PORT",
        default_value_t = records::SERVICE.admin_port
    )]
    pub records_admin_port: u16,
    /// The port of metrics and health of transactions
    #[arg(
        long,
        env = "STRONGROOM_TRANSACTIONS_ADMIN_PORT",
        default_value_t = transactions::SERVICE.admin_port
    )]
    pub transactions_admin_port: u16,
}

impl Ports {
    /// Free ports for everything.
    pub const FREE: Self = Self {
        accounts_port: 0,
        records_port: 0,
        transactions_port: 0,
        accounts_admin_port: 0,
        records_admin_port: 0,
        transactions_admin_port: 0,
    };
}

/// Where Postgres is: a URL for each service, else one of an administrator, else a private server.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Database (a private Postgres is brought up where none is given)")]
pub struct Databases {
    /// The URL of an administrator, as whom the roles and schemas of all services are made
    #[arg(long, env = "STRONGROOM_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The URL of the runtime role of accounts; then the others are needed too
    #[arg(long, env = "STRONGROOM_ACCOUNTS_DATABASE_URL", hide_env_values = true)]
    pub accounts_database_url: Option<String>,
    /// The URL of the runtime role of records
    #[arg(long, env = "STRONGROOM_RECORDS_DATABASE_URL", hide_env_values = true)]
    pub records_database_url: Option<String>,
    /// The URL of the runtime role of transactions
    #[arg(long, env = "STRONGROOM_TRANSACTIONS_DATABASE_URL", hide_env_values = true)]
    pub transactions_database_url: Option<String>,
    /// The URL of the owner of the schema of accounts; without it the schema is taken as it is
    #[arg(long, env = "STRONGROOM_ACCOUNTS_MIGRATE_DATABASE_URL", hide_env_values = true)]
    pub accounts_migrate_database_url: Option<String>,
    /// The URL of the owner of the schema of records
    #[arg(long, env = "STRONGROOM_RECORDS_MIGRATE_DATABASE_URL", hide_env_values = true)]
    pub records_migrate_database_url: Option<String>,
    /// The URL of the owner of the schema of transactions
    #[arg(long, env = "STRONGROOM_TRANSACTIONS_MIGRATE_DATABASE_URL", hide_env_values = true)]
    pub transactions_migrate_database_url: Option<String>,
}

/// Who is believed. Without an issuer of its own the suite makes one, for development.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub struct Issuer {
    /// The issuer that tokens must name, where it is not the suite's own
    #[arg(long, env = "STRONGROOM_TOKEN_ISSUER", requires = "token_jwks")]
    pub token_issuer: Option<String>,
    /// The public keys of that issuer (JWKS, RFC 7517)
    #[arg(long, env = "STRONGROOM_TOKEN_JWKS", requires = "token_issuer")]
    pub token_jwks: Option<PathBuf>,
    /// The audience that tokens must name
    #[arg(long, env = "STRONGROOM_TOKEN_AUDIENCE", default_value = "strongroom")]
    pub token_audience: String,
    /// Ask for a token on loopback too; without this, callers on loopback are "dev" in tenant
    /// default as long as the suite has its own issuer and listens on loopback only
    #[arg(long, env = "STRONGROOM_REQUIRE_TOKEN")]
    pub require_token: bool,
}

impl Options {
    /// Whether a caller without a token is "dev": only where nobody but this machine can call, and
    /// only with the issuer that the suite has made itself.
    pub fn is_development(&self) -> bool {
        self.issuer.token_jwks.is_none()
            && self.server.listen.is_loopback()
            && !self.issuer.require_token
    }
}

/// Where the three services are called from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// accounts.
    pub accounts: SocketAddr,
    /// records.
    pub records: SocketAddr,
    /// transactions.
    pub transactions: SocketAddr,
}

impl Addresses {
    /// Where a suite with these options is, if its ports are not free ones.
    pub fn of(options: &Options) -> Self {
        let at = |port| callable(SocketAddr::new(options.server.listen, port));
        Self {
            accounts: at(options.ports.accounts_port),
            records: at(options.ports.records_port),
            transactions: at(options.ports.transactions_port),
        }
    }
}

/// The address by which this machine reaches a listener: one on all addresses is on loopback too.
pub(crate) fn callable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn only_a_suite_that_nobody_else_reaches_trusts_callers_without_a_token() {
        let development = |arguments: &[&str]| {
            let line = ["strongroom"].iter().chain(arguments);
            Line::try_parse_from(line).unwrap().options.is_development()
        };
        assert!(development(&[]));
        assert!(development(&["--listen", "::1"]));
        assert!(!development(&["--listen", "0.0.0.0"]));
        assert!(!development(&["--listen", "10.0.0.1"]));
        assert!(!development(&["--require-token"]));
        assert!(!development(&["--token-issuer", "https://i", "--token-jwks", "keys.json"]));
    }

    #[test]
    fn a_listener_on_all_addresses_is_called_on_loopback() {
        for (bound, called) in
            [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.1:7", "10.0.0.1:7")]
        {
            assert_eq!(callable(bound.parse().unwrap()), called.parse().unwrap());
        }
    }
}
