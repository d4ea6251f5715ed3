//! What can go wrong here, and the one conversion to what a caller is told.

use shared::db::{DbError, UnitError};
use shared::problem::{Problem, Reason};
use tonic::Status;

use crate::domain::{AccountId, Direction, Refusal};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The posting was refused.
    #[error("the posting was refused")]
    Refused(Refusal),
    /// The ledger does not know an account. Nothing is claimed, so that the request can come back
    /// once it does.
    #[error("the ledger does not know {account}")]
    UnknownAccount {
        /// The entry that names it.
        index: usize,
        /// The account.
        account: AccountId,
    },
    /// An item of a batch that is posted all or nothing was refused.
    #[error("item {index}: {error}")]
    Item {
        /// The item.
        index: i32,
        /// Why.
        error: Box<Error>,
    },
    /// The id that the caller chose is in use.
    #[error("{0} is taken")]
    IdTaken(String),
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
            Self::Refused(refusal) => refused(refusal),
            Self::UnknownAccount { index, account } => account.not_found().figure("entry", index),
            Self::IdTaken(name) => {
                Problem::new(Reason::IdTaken, format!("{name} is in use.")).figure("name", name)
            }
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

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::CurrencyMismatch { index, account, found, expected } => {
            let sentence = format!("must be in {expected}, the currency of {account}");
            Problem::new(Reason::CurrencyMismatch, sentence)
                .in_field(format!("transaction.entries[{index}].amount.currency"))
                .figure("account", account)
                .figure("currency", found.currency)
                .figure("expected", expected)
        }
        Refusal::Blocked { index, account, direction, source, reason_code } => {
            let direction = match direction {
                Direction::Debit => "DEBIT",
                Direction::Credit => "CREDIT",
            };
            let message = format!("{account} is blocked for {direction} by {source}.");
            Problem::new(Reason::AccountBlocked, message)
                .figure("account", account)
                .figure("direction", direction)
                .figure("source", source)
                .figure("reason_code", reason_code)
                .figure("entry", index)
        }
        Refusal::InsufficientFunds {
            index,
            account,
            available,
            held,
            blocked,
            limit,
            shortfall,
        } => {
            let currency = shortfall.currency;
            let major = |money: &shared::money::Money| money.units.major(currency);
            let message = format!("{account} lacks {} {currency}.", major(shortfall));
            Problem::new(Reason::InsufficientFunds, message)
                .figure("account", account)
                .figure("currency", currency)
                .figure("available", major(available))
                .figure("held", major(held))
                .figure("blocked", major(blocked))
                .figure("limit", major(limit))
                .figure("shortfall", major(shortfall))
                .figure("entry", index)
        }
        Refusal::Overflow { index, account } => {
            let sentence = format!("would give {account} a balance of over 38 digits");
            Problem::new(Reason::AmountOverflow, sentence)
                .in_field(format!("transaction.entries[{index}].amount.amount"))
                .figure("account", account)
        }
    }
}
