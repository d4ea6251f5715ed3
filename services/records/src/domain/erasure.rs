//! Erasures of persons: asked for by one principal, possibly approved by another, blocked by holds
//! and retention interests, and done once the subject's key is destroyed and the rest removed.

use shared::field::{Decoded, invalid};
use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum ErasureResource {}

impl Resource for ErasureResource {
    const COLLECTION: &'static str = "erasures";
    const TYPE: &'static str = "erasure";
}

/// The id of an erasure.
pub(crate) type ErasureId = Id<ErasureResource>;

/// The name of an erasure: `subjects/{uuid}/erasures/{uuid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct ErasureName {
    /// Whose.
    pub(crate) subject: SubjectId,
    /// Which.
    pub(crate) id: ErasureId,
}

impl ErasureName {
    /// Reads a name.
    pub(crate) fn parse(name: &str) -> Decoded<Self> {
        let refused = |_| invalid("must be subjects/{uuid}/erasures/{uuid}");
        let at = name.find("/erasures/").unwrap_or(name.len());
        let (subject, rest) = name.split_at(at);
        let subject = SubjectId::parse_name(subject).map_err(refused)?;
        let id = rest.strip_prefix('/').unwrap_or_default();
        Ok(Self { subject, id: ErasureId::parse_name(id).map_err(refused)? })
    }

    /// The name.
    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.subject, self.id)
    }

    /// `RESOURCE_NOT_FOUND` for this name.
    pub(crate) fn not_found(self) -> Problem {
        Problem::not_found(ErasureResource::TYPE, self.name())
    }
}

/// Where an erasure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErasureState {
    /// It waits for its delay or an approval.
    Requested,
    /// Something forbids it.
    Blocked,
    /// The key is destroyed, and the rest is being removed.
    Running,
    /// Done.
    Done,
    /// Taken back.
    Cancelled,
}

impl ErasureState {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Blocked => "BLOCKED",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether it has not begun yet.
    pub(crate) fn is_pending(self) -> bool {
        matches!(self, Self::Requested | Self::Blocked)
    }
}

/// Why an erasure is asked for (GDPR 17(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum LegalBasis {
    /// The person asked for it.
    SubjectRequest,
    /// The data are no longer needed.
    PurposeEnded,
    /// They should not have been processed.
    UnlawfulProcessing,
    /// A law asks for it.
    LegalObligation,
}

impl LegalBasis {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::SubjectRequest, Self::PurposeEnded, Self::UnlawfulProcessing, Self::LegalObligation];

    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SubjectRequest => "SUBJECT_REQUEST",
            Self::PurposeEnded => "PURPOSE_ENDED",
            Self::UnlawfulProcessing => "UNLAWFUL_PROCESSING",
            Self::LegalObligation => "LEGAL_OBLIGATION",
        }
    }
}

/// How much is destroyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Destroyed {
    /// Keys of the subject.
    pub(crate) keys: i64,
    /// Records.
    pub(crate) records: i64,
    /// Versions of records.
    pub(crate) versions: i64,
    /// Rows of blind indexes.
    pub(crate) index_rows: i64,
    /// Objects outside the database.
    pub(crate) objects: i64,
    /// Uploads that were not complete.
    pub(crate) uploads: i64,
}

impl Destroyed {
    /// Both together.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            records: self.records + other.records,
            versions: self.versions + other.versions,
            index_rows: self.index_rows + other.index_rows,
            objects: self.objects + other.objects,
            uploads: self.uploads + other.uploads,
        }
    }
}

/// The erasure of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Erasure {
    /// The name.
    pub(crate) name: ErasureName,
    /// Where it stands.
    pub(crate) state: ErasureState,
    /// Why it was asked for.
    pub(crate) legal_basis: LegalBasis,
    /// Who asked for it.
    pub(crate) requester: String,
    /// Who approved it.
    pub(crate) approver: Option<String>,
    /// When it was asked for.
    pub(crate) create_time: Timestamp,
    /// From when on it happens without approval.
    pub(crate) due_time: Timestamp,
    /// When the worker looks at it next.
    pub(crate) next_time: Timestamp,
    /// When the key was destroyed.
    pub(crate) shred_time: Option<Timestamp>,
    /// When it was done.
    pub(crate) done_time: Option<Timestamp>,
    /// The epochs whose keys may have wrapped the subject's key: a backup needs one of them.
    pub(crate) epochs: Option<(i32, i32)>,
    /// How much is destroyed.
    pub(crate) destroyed: Destroyed,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

impl Erasure {
    /// Lets it happen before its delay has passed: by another principal, once.
    pub(crate) fn approve(&mut self, principal: &str, now: Timestamp) -> Result<(), Problem> {
        if !self.state.is_pending() || self.approver.is_some() {
            return Err(self.transition());
        }
        if self.requester == principal {
            let message = format!("Another principal has to approve {}.", self.name.name());
            return Err(Problem::new(Reason::ApprovalRequired, message));
        }
        self.approver = Some(principal.to_owned());
        self.due_time = self.due_time.min(now);
        self.next_time = now;
        self.revision += 1;
        Ok(())
    }

    /// Takes it back, if it has not begun.
    pub(crate) fn cancel(&mut self) -> Result<(), Problem> {
        if !self.state.is_pending() {
            return Err(self.transition());
        }
        self.state = ErasureState::Cancelled;
        self.revision += 1;
        Ok(())
    }

    /// `INVALID_TRANSITION` from where it stands.
    pub(crate) fn transition(&self) -> Problem {
        let (name, state) = (self.name.name(), self.state.name());
        let problem = Problem::new(Reason::InvalidTransition, format!("{name} is {state}."));
        let allowed = match (self.state.is_pending(), &self.approver) {
            (true, None) => "approve, cancel",
            (true, Some(_)) => "cancel",
            (false, _) => "",
        };
        problem.figure("erasure", name).figure("state", state).figure("allowed", allowed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn erasure() -> Erasure {
        Erasure {
            name: ErasureName { subject: SubjectId::generate(), id: ErasureId::generate() },
            state: ErasureState::Requested,
            legal_basis: LegalBasis::SubjectRequest,
            requester: "ann".to_owned(),
            approver: None,
            create_time: Timestamp::default(),
            due_time: Timestamp::from_micros(100),
            next_time: Timestamp::from_micros(100),
            shred_time: None,
            done_time: None,
            epochs: None,
            destroyed: Destroyed::default(),
            revision: 1,
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        let name = erasure().name;
        assert_eq!(ErasureName::parse(&name.name()).unwrap(), name);
        let (subject, text) = (name.subject.name(), name.name());
        for wrong in
            [&subject, &text[1..], &text.to_uppercase(), &format!("{text}/"), "", "/erasures/"]
        {
            assert!(ErasureName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_principal_approves_it_once() {
        let (mut erasure, now) = (erasure(), Timestamp::from_micros(50));
        assert_eq!(erasure.approve("ann", now).unwrap_err().reason, Reason::ApprovalRequired);
        erasure.approve("bob", now).unwrap();
        assert_eq!((erasure.due_time, erasure.next_time), (now, now));
        let refused = erasure.approve("cas", now).unwrap_err();
        assert_eq!(
            (refused.reason, refused.figures["allowed"].as_str()),
            (Reason::InvalidTransition, "cancel")
        );
    }

    #[test]
    fn what_has_begun_is_neither_approved_nor_taken_back() {
        use ErasureState::{Blocked, Cancelled, Done, Requested, Running};
        for state in [Running, Done, Cancelled] {
            let mut erasure = Erasure { state, ..erasure() };
            assert!(erasure.cancel().is_err() && erasure.approve("bob", erasure.due_time).is_err());
        }
        for state in [Requested, Blocked] {
            let mut erasure = Erasure { state, ..erasure() };
            erasure.cancel().unwrap();
            assert_eq!(erasure.state, Cancelled);
        }
    }
}
