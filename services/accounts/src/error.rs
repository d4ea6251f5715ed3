//! What can go wrong here, and the one conversion to what a caller is told.

use shared::db::{DbError, UnitError};
use shared::problem::{Problem, Reason};
use tonic::Status;

use crate::domain::{NotAllowed, Unreadable};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The id that the caller chose is in use.
    #[error("{0} is in use")]
    IdTaken(String),
    /// Another resource has the caller's own id.
    #[error("{holder} has this external id of the kind {kind}")]
    ExternalIdTaken {
        /// The kind of the id.
        kind: String,
        /// Who has it, by name.
        holder: String,
    },
    /// A check went well, and is rolled back.
    #[error("it was a check only")]
    Checked,
    /// The state does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The sealed profile is none.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Anything that already says what a caller should be told.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl UnitError for Error {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<Box<Problem>> for Error {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(*problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::IdTaken(name) => {
                Self::new(Reason::IdTaken, format!("{name} is in use.")).figure("name", name)
            }
            Error::ExternalIdTaken { kind, holder } => {
                let message = format!("{holder} has this external id of the kind {kind}.");
                Self::new(Reason::ExternalIdTaken, message)
                    .figure("kind", kind)
                    .figure("holder", holder)
            }
            Error::NotAllowed(NotAllowed { what, state, allowed }) => {
                let would = allowed.join(" or ");
                let message = format!("The {what} is {state}, and would have to be {would}.");
                Self::new(Reason::InvalidTransition, message)
                    .figure("state", state)
                    .figure("allowed", allowed.join(", "))
            }
            // Whoever checks knows that.
            Error::Checked => Self::internal(),
            Error::Unreadable(error) => {
                tracing::error!(%error, "a profile cannot be given");
                Self::internal()
            }
            Error::Problem(problem) => problem,
            Error::Db(error) => error.into(),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
