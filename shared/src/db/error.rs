//! What can go wrong with the database, told apart by what the caller should do.
//!
//! Diesel does not expose SQLSTATE and folds deadlocks and timeouts into `Unknown` (diesel 1612),
//! so their English texts are matched here, and only here. `deploy/postgres/roles.sql` pins
//! `lc_messages`, boot checks it, and a test makes each of them happen.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::problem::{Problem, Reason};

/// A failed unit of work.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// There is no connection to be had: nothing was done.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// The connection broke before COMMIT: nothing was done.
    #[error("the connection broke")]
    Closed,
    /// The connection broke during COMMIT: only the request id can tell.
    #[error("the connection broke during COMMIT")]
    CommitUnknown,
    /// Concurrent work won, more often than the retries allow.
    #[error("too much concurrent work on the same rows")]
    Contention,
    /// A lock was not to be had in time.
    #[error("a lock was not to be had in time")]
    LockTimeout,
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// A unique index or primary key refused a row.
    #[error("{0} refused a duplicate")]
    Unique(String),
    /// A foreign key refused a row.
    #[error("{0} refused a reference")]
    ForeignKey(String),
    /// There is no such row.
    #[error("there is no such row")]
    NotFound,
    /// Anything else is a fault.
    #[error("{0}")]
    Fault(String),
}

impl DbError {
    /// Whether the same unit of work may succeed when it is run again at once.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Contention | Self::Closed)
    }
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        let (kind, info) = match error {
            DieselError::NotFound => return Self::NotFound,
            DieselError::DatabaseError(kind, info) => (kind, info),
            DieselError::BrokenTransactionManager => return Self::Closed,
            other => return Self::Fault(other.to_string()),
        };
        let constraint = || info.constraint_name().unwrap_or("a constraint").to_owned();
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Unique(constraint()),
            DatabaseErrorKind::ForeignKeyViolation => Self::ForeignKey(constraint()),
            DatabaseErrorKind::SerializationFailure => Self::Contention,
            DatabaseErrorKind::ClosedConnection => Self::Closed,
            _ => from_message(info.message(), info.constraint_name()),
        }
    }
}

fn from_message(message: &str, constraint: Option<&str>) -> DbError {
    match message {
        "deadlock detected" => DbError::Contention,
        "canceling statement due to lock timeout" => DbError::LockTimeout,
        "canceling statement due to statement timeout" => DbError::Deadline,
        _ if message.starts_with("terminating connection")
            || message.starts_with("server closed the connection")
            || message.starts_with("no connection to the server")
            || message.starts_with("could not receive data from server")
            || message.starts_with("SSL connection has been closed") =>
        {
            DbError::Closed
        }
        // The text of a failed CHECK holds the row; its name is enough.
        _ => match constraint {
            Some(name) => DbError::Fault(format!("{name} was violated")),
            None => DbError::Fault(message.lines().next().unwrap_or_default().to_owned()),
        },
    }
}

/// What libpq says of a connection that it could not make. Of a URL that it cannot read it says
/// the text, password included, so only what it says of a server or its name is passed on.
pub(super) fn connect_message(error: &diesel::ConnectionError) -> String {
    const HARMLESS: [&str; 3] =
        ["connection to server", "could not translate host name", "sslmode value"];
    let message = error.to_string();
    match HARMLESS.iter().any(|start| message.starts_with(start)) {
        true => message,
        false => "the database URL cannot be used".to_owned(),
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::from(&error)
    }
}

impl From<&DbError> for Problem {
    fn from(error: &DbError) -> Self {
        let away = |message| {
            Problem::new(Reason::DatabaseUnavailable, message).retry_after(Duration::from_secs(1))
        };
        match error {
            DbError::Unavailable(_) | DbError::Closed => {
                away("The database is away. Nothing was done.")
            }
            DbError::CommitUnknown => away(
                "The database went away while it committed. Repeat with the same request_id, or \
                 ask GetOutcome.",
            ),
            DbError::Contention | DbError::LockTimeout => Problem::new(
                Reason::Contention,
                "Concurrent work on the same resources did not let this through.",
            )
            .retry_after(Duration::from_millis(50)),
            DbError::Deadline => Problem::new(Reason::Deadline, "The deadline passed."),
            DbError::Unique(_) | DbError::ForeignKey(_) | DbError::NotFound | DbError::Fault(_) => {
                tracing::error!(%error, "the database refused what the service asked for");
                Problem::internal()
            }
        }
    }
}
