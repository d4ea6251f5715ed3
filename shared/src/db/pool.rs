//! The pool of connections and its limits.

use std::time::Duration;

use deadpool_diesel::postgres::{Manager, Object};
use deadpool_diesel::{
    Error as ManagerError, ManagerConfig, PoolError, RecyclingMethod, Runtime, Timeouts,
};

use super::DbError;
use super::error::connect_message;
use crate::config::{at_least_one, seconds};
use crate::deadline::Deadline;

pub(super) type Pool = deadpool_diesel::postgres::Pool;

/// The limits of the database layer.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Database")]
pub struct Config {
    /// Connections that the service opens at most
    #[arg(long, env = "STRONGROOM_POOL_SIZE", default_value = "16", value_parser = at_least_one)]
    pub pool_size: usize,
    /// Seconds to wait for a connection before the answer is UNAVAILABLE
    #[arg(long, env = "STRONGROOM_POOL_WAIT", default_value = "2", value_parser = seconds)]
    pub pool_wait: Duration,
    /// Seconds that one statement may take, where the deadline allows more
    #[arg(long, env = "STRONGROOM_STATEMENT_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub statement_timeout: Duration,
    /// Seconds that a statement may wait for a lock
    #[arg(long, env = "STRONGROOM_LOCK_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub lock_timeout: Duration,
    /// Seconds that a transaction may be idle before Postgres ends it
    #[arg(long, env = "STRONGROOM_IDLE_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub idle_in_transaction_timeout: Duration,
    /// Keep prepared statements on their connections; not behind a pooler that hands a connection
    /// to another session after each transaction
    #[arg(long, env = "STRONGROOM_PREPARED", default_value_t = true, action = clap::ArgAction::Set)]
    pub prepared_statements: bool,
    /// Times that a unit of work is repeated when concurrent work undid it
    #[arg(long = "db-retries", env = "STRONGROOM_DB_RETRIES", default_value_t = 8)]
    pub retries: u32,
}

/// A URL whose sessions see one schema and write their service into `pg_stat_activity`.
pub fn session_url(url: &str, schema: &str) -> String {
    url_with(url, schema, &[])
}

/// A URL for a session whose statements run over arrays of keys all the time. Their plans must be
/// look-ups by index from the first row on: a plan that was made while a table was empty is kept
/// with the statement, and would read the whole table when it is large. A statement about several
/// tenants depends on them too: policies refuse it where it reads a row of yet another one.
pub(super) fn writer_url(url: &str, schema: &str) -> String {
    let settings = [
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "enable_bitmapscan=off",
        "enable_material=off",
        "plan_cache_mode=force_generic_plan",
        "jit=off",
    ];
    url_with(url, schema, &settings)
}

fn url_with(url: &str, schema: &str, settings: &[&str]) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut options = format!("-csearch_path%3D{schema}");
    for setting in settings {
        options.push_str("%20-c");
        options.push_str(&setting.replace('=', "%3D"));
    }
    format!(
        "{url}{separator}options={options}&application_name=strongroom-{schema}&connect_timeout=5"
    )
}

pub(super) fn build(
    url: &str,
    config: &Config,
) -> Result<Pool, deadpool_diesel::postgres::BuildError> {
    // The default sends `SELECT 1` at every checkout. A connection that died in the pool is found
    // by BEGIN instead, before anything is lost. The manager itself looks for open transactions.
    let recycling_method = RecyclingMethod::CustomFunction(Box::new(|_| Ok(())));
    let manager = Manager::from_config(url, Runtime::Tokio1, ManagerConfig { recycling_method });
    Pool::builder(manager)
        .max_size(config.pool_size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(config.pool_wait),
            create: Some(config.pool_wait),
            recycle: Some(config.pool_wait),
        })
        .build()
}

/// A connection, or what the caller should be told.
pub(super) async fn get(
    pool: &Pool,
    deadline: Deadline,
    config: &Config,
) -> Result<Object, DbError> {
    let patience = config.pool_wait.min(deadline.remaining());
    match tokio::time::timeout(patience, pool.get()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(PoolError::Backend(ManagerError::Connection(error)))) => {
            Err(DbError::Unavailable(connect_message(&error)))
        }
        Ok(Err(error)) => Err(DbError::Unavailable(error.to_string())),
        Err(_) if deadline.remaining().is_zero() => Err(DbError::Deadline),
        Err(_) => Err(DbError::Unavailable("no connection was free in time".to_owned())),
    }
}
