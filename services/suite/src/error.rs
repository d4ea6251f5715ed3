//! Why a suite does not run, or does not go on.

use std::path::{Path, PathBuf};

use shared::boot::BootError;
use shared::db::MigrateError;
use shared::postgres;

use crate::bench::BenchError;
use crate::demo::DemoError;
use crate::export::ExportError;
use crate::import::ImportError;
use crate::reconcile::ReconcileError;
use crate::verify::VerifyError;

/// Why a suite does not run, or does not go on. No message holds a password or a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The flags or variables do not go together.
    #[error("{0}")]
    Usage(String),
    /// A service's own variables cannot be read.
    #[error("{service}: {message}")]
    Configuration {
        /// The service.
        service: &'static str,
        /// What clap says.
        message: String,
    },
    /// A port is taken.
    #[error("{source}; another suite may be running: choose other ports with {flag}")]
    Listen {
        /// What the system said.
        source: BootError,
        /// The flag that gives another port.
        flag: String,
    },
    /// Telemetry cannot start.
    #[error(transparent)]
    Telemetry(#[from] shared::telemetry::TelemetryError),
    /// Postgres cannot be found, started or set up.
    #[error("{0}")]
    Postgres(#[from] postgres::Error),
    /// A schema cannot be brought up to date.
    #[error("schema {schema}: {source}")]
    Migrate {
        /// The schema.
        schema: &'static str,
        /// Why.
        source: MigrateError,
    },
    /// A file of the suite's cannot be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// A service ended, and with it the suite.
    #[error("{service} ended: {message}")]
    Service {
        /// The service.
        service: &'static str,
        /// Why.
        message: String,
    },
    /// The tenant "default" cannot be created.
    #[error("{service} does not create the tenant \"default\": {message}")]
    Tenant {
        /// The service.
        service: &'static str,
        /// What it said.
        message: String,
    },
    /// A token cannot be signed.
    #[error("no token: {0}")]
    Token(String),
    /// A measurement did not come about, or does not hold.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The demo was not as told.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// An import did not come about, or not all of it.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Nothing was exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Files cannot be verified, or do not hold.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Accounts and the ledger do not agree, or could not be compared.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Interrupted,
    /// A thread ended by itself.
    #[error("a step of the start did not end: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl Error {
    /// For `map_err` after a file operation on `path`.
    pub(crate) fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::File { path: path.to_owned(), message: error.to_string() }
    }
}
