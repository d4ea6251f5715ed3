//! The access log: who did or tried what with whose data, what for, and what became of it.

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use uuid::Uuid;

use super::purpose::Purpose;
use super::record::{RecordId, View};
use super::subject::{SubjectId, SubjectState};

/// What somebody did or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Created a subject.
    CreateSubject,
    /// Sealed a record.
    CreateRecord,
    /// Read a record.
    GetRecord,
}

/// One entry of the access log. It holds ids, codes and no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The id of the entry.
    pub(crate) id: Uuid,
    /// When.
    pub(crate) time: Timestamp,
    /// Who.
    pub(crate) principal: String,
    /// The service that called on the principal's behalf, where one did.
    pub(crate) workload: Option<String>,
    /// What.
    pub(crate) action: Action,
    /// Whose data; unknown where the record is.
    pub(crate) subject: Option<SubjectId>,
    /// Which record.
    pub(crate) record: Option<RecordId>,
    /// Which version of it.
    pub(crate) version: Option<i64>,
    /// How much of it.
    pub(crate) view: Option<View>,
    /// What for.
    pub(crate) purpose: Option<Purpose>,
    /// Why nothing was given; none where it was.
    pub(crate) refusal: Option<Reason>,
    /// The trace of the call.
    pub(crate) trace_id: String,
}

/// What a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How much.
    pub(crate) view: View,
    /// What for, or why there is no answer to that.
    pub(crate) purpose: Result<Purpose, Problem>,
    /// Whether the reader may see content as it is, or the refusal of that.
    pub(crate) full: Result<(), Problem>,
}

impl Reading {
    /// Whether this may be read, of a subject in this state.
    pub(crate) fn decide(&self, subject: SubjectId, state: SubjectState) -> Result<(), Problem> {
        match self.view {
            View::Basic => return Ok(()),
            View::Masked => {}
            View::Full => self.full.clone()?,
        }
        state.allow_read(subject, self.purpose.clone()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(view: View, purpose: &str, full: bool) -> Reading {
        let missing = || Problem::new(Reason::PermissionMissing, "no");
        let full = if full { Ok(()) } else { Err(missing()) };
        Reading { view, purpose: Purpose::parse(purpose), full }
    }

    #[test]
    fn content_needs_a_purpose_and_full_content_a_permission() {
        let decide = |view, purpose, full| {
            let reading = reading(view, purpose, full);
            let decision = reading.decide(SubjectId::generate(), SubjectState::Active);
            decision.err().map(|problem| problem.reason)
        };
        assert_eq!(decide(View::Basic, "", false), None);
        assert_eq!(decide(View::Masked, "", false), Some(Reason::PurposeRequired));
        assert_eq!(decide(View::Masked, "X", false), Some(Reason::PurposeUnknown));
        assert_eq!(decide(View::Masked, "KYC", false), None);
        assert_eq!(decide(View::Full, "KYC", false), Some(Reason::PermissionMissing));
        assert_eq!(decide(View::Full, "", true), Some(Reason::PurposeRequired));
        assert_eq!(decide(View::Full, "KYC", true), None);
    }

    #[test]
    fn the_state_of_the_subject_counts() {
        let reading = reading(View::Full, "TREAT", true);
        for (state, reason) in [
            (SubjectState::Restricted, Reason::SubjectRestricted),
            (SubjectState::Erased, Reason::SubjectErased),
        ] {
            let decision = reading.decide(SubjectId::generate(), state);
            assert_eq!(decision.unwrap_err().reason, reason);
        }
    }
}
