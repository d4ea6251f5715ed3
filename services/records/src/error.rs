//! Every way in which a call can fail, and the one place where that becomes an answer.

use std::time::Duration;

use shared::db::{DbError, UnitError};
use shared::problem::{Problem, Reason};
use tonic::Status;

use crate::domain::record::RecordId;
use crate::objects::ObjectError;
use crate::seal::{KeyError, SealBroken, SealFailed};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The id that the caller chose is in use.
    #[error("{0} is in use")]
    IdTaken(RecordId),
    /// Another change came first: what was made for the state before it is to be made anew.
    #[error("another change came first")]
    Overtaken,
    /// A key or a body cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A body in the object store cannot be had.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Anything that already says what a caller should be told.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// Whether what is stored is not what was sealed.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Key(KeyError::Broken(_)) | Self::Object(ObjectError::Missing))
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

impl From<Box<Problem>> for Error {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(*problem)
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<SealBroken> for Error {
    fn from(error: SealBroken) -> Self {
        Self::Key(error.into())
    }
}

impl From<SealFailed> for Error {
    fn from(error: SealFailed) -> Self {
        Self::Key(error.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::IdTaken(id) => {
                Self::new(Reason::IdTaken, format!("{id} is in use.")).figure("name", id)
            }
            Error::Overtaken => DbError::Contention.into(),
            Error::Key(error) => key_problem(&error),
            Error::Object(error) => object_problem(&error),
            Error::Problem(problem) => problem,
            Error::Db(error) => error.into(),
        }
    }
}

fn key_problem(error: &KeyError) -> Problem {
    match error {
        KeyError::Unavailable(_) => {
            tracing::warn!(%error, "a tenant key is not to be had");
            let message = "The key provider is away. Nothing was done.";
            Problem::new(Reason::KeyProviderUnavailable, message)
                .retry_after(Duration::from_secs(1))
        }
        KeyError::Broken(_) => {
            tracing::error!("what is stored does not open: it was changed, or its key is gone");
            Problem::new(Reason::SealBroken, "What is stored does not open.")
        }
        KeyError::Failed(_) => {
            tracing::error!(%error, "nothing can be sealed");
            Problem::internal()
        }
    }
}

fn object_problem(error: &ObjectError) -> Problem {
    match error {
        ObjectError::Away(_) => {
            tracing::warn!(%error, "an object is not to be had");
            let message = "The object store is away. Nothing was done.";
            Problem::new(Reason::StorageUnavailable, message).retry_after(Duration::from_secs(1))
        }
        // No reader asks for what was not put, and no writer leaves it at that.
        ObjectError::Missing | ObjectError::Exists => key_problem(&SealBroken.into()),
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_is_away_is_another_thing_than_a_broken_seal() {
        let problem = |error: KeyError| Problem::from(Error::from(error));
        let away = problem(KeyError::Unavailable("kms.internal: refused".to_owned()));
        assert_eq!(away.reason, Reason::KeyProviderUnavailable);
        assert!(away.retry_after.is_some() && !away.message.contains("kms"));
        let broken = problem(SealBroken.into());
        assert_eq!((broken.reason, broken.retry_after), (Reason::SealBroken, None));
        assert!(broken.figures.is_empty());
        assert_eq!(problem(SealFailed.into()).reason, Reason::Internal);
    }
}
