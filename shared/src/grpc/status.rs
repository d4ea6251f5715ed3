//! The one conversion between problems and statuses (AIP-193), in both directions.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

use crate::problem::{Problem, Reason, reason_from_name, reason_name};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "strongroom";

/// The code that a reason is answered with.
pub fn code(reason: Reason) -> Code {
    use Reason as R;
    match reason {
        R::FieldInvalid
        | R::RequestIdRequired
        | R::Unbalanced
        | R::PrecisionExceeded
        | R::AmountOverflow
        | R::CurrencyMismatch
        | R::CurrencyUnknown
        | R::TooManyEntries
        | R::TooManyItems
        | R::PageTokenInvalid
        | R::FilterInvalid
        | R::PurposeUnknown => Code::InvalidArgument,
        R::ResourceNotFound => Code::NotFound,
        R::IdTaken | R::RequestIdReused | R::ExternalIdTaken => Code::AlreadyExists,
        R::InsufficientFunds
        | R::LimitExceeded
        | R::AccountBlocked
        | R::InvalidTransition
        | R::AccountNotEmpty
        | R::HoldExpired
        | R::HoldFinished
        | R::CaptureExceedsHold
        | R::ReversalExceedsOriginal
        | R::LinkExceedsOriginal
        | R::PeriodClosed
        | R::KycRequired
        | R::LegalHold
        | R::Retention
        | R::SubjectRestricted
        | R::SubjectErased
        | R::ApprovalRequired
        | R::TenantState
        | R::TimelineChanged
        | R::CursorExpired
        | R::BatchItemFailed => Code::FailedPrecondition,
        R::EtagMismatch
        | R::VersionMismatch
        | R::BalancePrecondition
        | R::Contention
        | R::RequestInProgress => Code::Aborted,
        R::PermissionMissing | R::PurposeRequired | R::ConsentMissing => Code::PermissionDenied,
        R::TokenMissing | R::TokenInvalid | R::TokenExpired => Code::Unauthenticated,
        R::RateLimited | R::Overloaded | R::MessageTooLarge => Code::ResourceExhausted,
        R::PeerUnavailable
        | R::DatabaseUnavailable
        | R::KeyProviderUnavailable
        | R::StorageUnavailable => Code::Unavailable,
        R::Deadline => Code::DeadlineExceeded,
        R::BooksMismatch | R::SealBroken => Code::DataLoss,
        R::MethodUnknown => Code::Unimplemented,
        R::Unspecified | R::Internal => Code::Internal,
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = code(problem.reason);
        let reason = reason_name(problem.reason);
        let mut figures: HashMap<String, String> = problem.figures.into_iter().collect();
        if let Some(trace_id) = super::call::trace_id() {
            figures.insert("trace_id".to_owned(), trace_id);
        }
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, figures);
        let mut message = problem.message;
        if let Some(field) = problem.field {
            details.add_bad_request_violation(&field, &message);
            message = format!("{field} {message}");
        }
        if code == Code::FailedPrecondition {
            let violation = PreconditionViolation::new(reason, "", message.clone());
            details.set_precondition_failure(vec![violation]);
        }
        if let Some(delay) = problem.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, message, details)
    }
}

impl From<Box<Problem>> for Status {
    fn from(problem: Box<Problem>) -> Self {
        (*problem).into()
    }
}

impl From<Box<Problem>> for Problem {
    fn from(problem: Box<Problem>) -> Self {
        *problem
    }
}

/// The problem that a status of `peer` tells, as this service should pass it on.
pub fn from_peer(status: &Status, peer: &str) -> Problem {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .filter(|info| info.domain == DOMAIN)
        .and_then(|info| reason_from_name(&info.reason));
    match (status.code(), reason) {
        (Code::DeadlineExceeded, _) => {
            Problem::new(Reason::Deadline, format!("{peer} did not answer in time."))
        }
        (Code::Unavailable, _) | (Code::Cancelled | Code::Unknown, None) => unavailable(peer),
        // What is wrong with our own token is our fault, not the caller's.
        (Code::Unauthenticated | Code::PermissionDenied, _) | (_, None) => {
            tracing::error!(peer, code = ?status.code(), "a peer refused a call of this service");
            Problem::internal()
        }
        (_, Some(reason)) => {
            let mut problem = Problem::new(reason, status.message());
            problem.figures = details
                .error_info()
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default();
            problem.figures.remove("trace_id");
            problem.retry_after = details.retry_info().and_then(|info| info.retry_delay);
            problem
        }
    }
}

/// `PEER_UNAVAILABLE` for a service.
pub fn unavailable(peer: &str) -> Problem {
    Problem::new(Reason::PeerUnavailable, format!("The service {peer} is away."))
        .figure("peer", peer)
        .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_crosses_the_wire() {
        for number in 0..200 {
            let Ok(reason) = Reason::try_from(number) else {
                continue;
            };
            let problem = Problem::new(reason, "a message").figure("limit", "5.00");
            let status = Status::from(problem.clone());
            assert_eq!(status.code(), code(reason));
            let info = status.get_error_details().error_info().cloned().unwrap();
            assert_eq!(reason_from_name(&info.reason), Some(reason));
            assert_eq!(info.metadata["limit"], "5.00");
        }
    }

    #[test]
    fn a_field_has_its_path() {
        let problem = Problem::new(Reason::Unbalanced, "must balance").in_field("entries");
        let details = Status::from(problem).get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "entries");
    }

    #[test]
    fn a_business_decision_of_a_peer_is_passed_on_with_its_figures() {
        let problem = Problem::new(Reason::SubjectErased, "erased").figure("certificate", "c1");
        let passed = from_peer(&Status::from(problem.clone()), "records");
        assert_eq!(passed, problem);
    }

    #[test]
    fn a_peer_that_is_away_is_unavailable() {
        let passed = from_peer(&Status::unavailable("tcp connect error"), "records");
        assert_eq!(passed.reason, Reason::PeerUnavailable);
        assert_eq!(passed.figures["peer"], "records");
    }
}
