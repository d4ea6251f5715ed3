//! Why a measurement did not come about, or does not hold.

use std::io;

/// Why a measurement did not come about, or does not hold. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// pgbench cannot be run, or failed.
    #[error("pgbench: {0}")]
    Pgbench(String),
    /// The service that is measured does not run.
    #[error("the ledger: {0}")]
    Service(String),
    /// The callers did not get the answers that they asked for.
    #[error("the callers: {0}")]
    Load(String),
    /// The database did not answer.
    #[error("the database: {0}")]
    Database(#[from] diesel::result::Error),
    /// The database cannot be reached.
    #[error("the database: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// What was acknowledged is not what is in the books.
    #[error("the books do not match: {0}")]
    Books(String),
    /// A file or a process failed.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// Somebody stopped it.
    #[error("interrupted")]
    Interrupted,
}
