//! Retention interests: that somebody needs what is about a person until some time; and what blocks
//! the end of data in general.

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use uuid::Uuid;

use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum RetentionInterestResource {}

impl Resource for RetentionInterestResource {
    const COLLECTION: &'static str = "retentionInterests";
    const TYPE: &'static str = "retention interest";
}

/// The id of a retention interest.
pub(crate) type RetentionInterestId = Id<RetentionInterestResource>;

/// That somebody needs what is about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetentionInterest {
    /// The id, which follows from whose, who and for what: there is one for them.
    pub(crate) id: RetentionInterestId,
    /// Whose data.
    pub(crate) subject: SubjectId,
    /// Who needs them: "accounts".
    pub(crate) source: String,
    /// For what: "accounts/{uuid}".
    pub(crate) reference: String,
    /// Until when; open where there is none.
    pub(crate) end_time: Option<Timestamp>,
    /// When it was set first.
    pub(crate) create_time: Timestamp,
    /// When it was set last.
    pub(crate) update_time: Timestamp,
}

/// The id of the interest of a source for a reference.
pub(crate) fn interest_id(
    subject: SubjectId,
    source: &str,
    reference: &str,
) -> RetentionInterestId {
    // No source has a slash in it.
    let name = format!("{source}/{reference}");
    RetentionInterestId::from_uuid(Uuid::new_v5(&subject.uuid(), name.as_bytes()))
}

/// What forbids that data end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocker {
    /// `legalHolds/{uuid}` or `retentionInterests/{uuid}`.
    pub(crate) name: String,
    /// Until when; open where there is none.
    pub(crate) end_time: Option<Timestamp>,
}

/// Refuses what legal holds and retention interests forbid: the holds come first.
pub(crate) fn allow_end(holds: &[Blocker], interests: &[Blocker]) -> Result<(), Problem> {
    if let Some(hold) = holds.first() {
        let message = "A legal hold forbids it.";
        return Err(Problem::new(Reason::LegalHold, message).figure("legal_hold", &hold.name));
    }
    let Some(interest) = interests.first() else { return Ok(()) };
    let problem = Problem::new(Reason::Retention, "Somebody needs the data for some time yet.");
    let problem = problem.figure("retention_interest", &interest.name);
    Err(match interest.end_time {
        Some(time) => problem.figure("end_time", time),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_interest_for_a_source_and_a_reference() {
        let (one, other) = (SubjectId::generate(), SubjectId::generate());
        let id = interest_id(one, "accounts", "accounts/1");
        assert_eq!(id, interest_id(one, "accounts", "accounts/1"));
        assert_ne!(id, interest_id(other, "accounts", "accounts/1"));
        assert_ne!(id, interest_id(one, "account", "s/accounts/1"));
        assert_ne!(id, interest_id(one, "accounts", "accounts/2"));
    }

    #[test]
    fn a_hold_is_told_before_an_interest() {
        let blocker = |name: &str, end_time| Blocker { name: name.to_owned(), end_time };
        let (hold, interest) = ([blocker("h", None)], [blocker("i", Some(Timestamp::default()))]);
        assert_eq!(allow_end(&hold, &interest).unwrap_err().reason, Reason::LegalHold);
        let refused = allow_end(&[], &interest).unwrap_err();
        assert_eq!(refused.reason, Reason::Retention);
        assert_eq!(refused.figures["end_time"], "1970-01-01T00:00:00Z");
        assert!(allow_end(&[], &[]).is_ok());
    }
}
