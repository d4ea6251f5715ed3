//! What can go wrong here, and the one conversion to what a caller is told.

mod refused;

use shared::db::{DbError, UnitError};
use shared::problem::Problem;
use tonic::Status;

use crate::domain::Refusal;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A rule stands against it.
    #[error("it was refused")]
    Refused(Refusal),
    /// An item of a batch that is posted all or nothing was refused.
    #[error("item {index}: {error}")]
    Item {
        /// The item.
        index: i32,
        /// Why.
        error: Box<Error>,
    },
    /// Anything that already says what a caller should be told.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
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

impl UnitError for Error {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// What a caller is told: the one conversion.
    pub(crate) fn to_problem(&self) -> Problem {
        match self {
            Self::Refused(refusal) => refused::problem(refusal),
            Self::Item { index, error } => error.to_problem().figure("item", index),
            Self::Problem(problem) => problem.clone(),
            Self::Db(error) => error.into(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        error.to_problem()
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
