//! Subjects: the persons whom records are about, as an opaque id and a state.

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::purpose::Purpose;

/// The kind of resource.
pub(crate) enum SubjectResource {}

impl Resource for SubjectResource {
    const COLLECTION: &'static str = "subjects";
    const TYPE: &'static str = "subject";
}

/// The id of a subject.
pub(crate) type SubjectId = Id<SubjectResource>;

/// What may be done with a person's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubjectState {
    /// Everything that permissions allow.
    Active,
    /// Legal purposes only.
    Restricted,
    /// Nothing: the key is destroyed.
    Erased,
}

/// A person, as far as this service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The id.
    pub(crate) id: SubjectId,
    /// What may be done with the person's records.
    pub(crate) state: SubjectState,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

impl SubjectState {
    /// Whether content may be read for this purpose.
    pub(crate) fn allow_read(self, id: SubjectId, purpose: Purpose) -> Result<(), Problem> {
        match self {
            Self::Restricted if !purpose.is_legal() => Err(restricted(id)),
            Self::Active | Self::Restricted => Ok(()),
            Self::Erased => Err(erased(id)),
        }
    }

    /// Whether new content may be sealed.
    pub(crate) fn allow_write(self, id: SubjectId) -> Result<(), Problem> {
        match self {
            Self::Active => Ok(()),
            Self::Restricted => Err(restricted(id)),
            Self::Erased => Err(erased(id)),
        }
    }
}

fn restricted(id: SubjectId) -> Problem {
    let message = format!("The data of {id} may be used for legal purposes only.");
    Problem::new(Reason::SubjectRestricted, message).figure("subject", id)
}

/// `SUBJECT_ERASED`.
pub(crate) fn erased(id: SubjectId) -> Problem {
    Problem::new(Reason::SubjectErased, format!("{id} has been erased.")).figure("subject", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restricted_subject_is_read_for_legal_purposes_only() {
        let id = SubjectId::generate();
        let (legal, treat) = (Purpose::parse("LEGAL").unwrap(), Purpose::parse("TREAT").unwrap());
        assert!(SubjectState::Restricted.allow_read(id, legal).is_ok());
        let refused = SubjectState::Restricted.allow_read(id, treat).unwrap_err();
        assert_eq!(refused.reason, Reason::SubjectRestricted);
        let refused = SubjectState::Restricted.allow_write(id).unwrap_err();
        assert_eq!(refused.reason, Reason::SubjectRestricted);
    }

    #[test]
    fn an_erased_subject_is_neither_read_nor_written() {
        let id = SubjectId::generate();
        let legal = Purpose::parse("LEGAL").unwrap();
        let refused = SubjectState::Erased.allow_read(id, legal).unwrap_err();
        assert_eq!(refused.reason, Reason::SubjectErased);
        assert_eq!(SubjectState::Erased.allow_write(id).unwrap_err().reason, Reason::SubjectErased);
        assert!(refused.is_frozen());
    }
}
