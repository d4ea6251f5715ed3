//! Legal holds: what forbids to delete, purge or erase, until two principals release it.

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::record::RecordId;
use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum LegalHoldResource {}

impl Resource for LegalHoldResource {
    const COLLECTION: &'static str = "legalHolds";
    const TYPE: &'static str = "legal hold";
}

/// The id of a legal hold.
pub(crate) type LegalHoldId = Id<LegalHoldResource>;

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldState {
    /// It holds.
    Active,
    /// It holds, and one principal has asked for its release.
    ReleaseRequested,
    /// It holds no more.
    Released,
}

impl HoldState {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::ReleaseRequested => "RELEASE_REQUESTED",
            Self::Released => "RELEASED",
        }
    }
}

/// What forbids to delete, purge or erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LegalHold {
    /// The id.
    pub(crate) id: LegalHoldId,
    /// Whose data.
    pub(crate) subject: SubjectId,
    /// The only record that is held; all of the subject's where there is none.
    pub(crate) record: Option<RecordId>,
    /// Whose hold it is: "court-of-zurich".
    pub(crate) authority: String,
    /// The authority's reference; none once the subject is erased.
    pub(crate) case_reference: Option<String>,
    /// Where it stands.
    pub(crate) state: HoldState,
    /// Who placed it.
    pub(crate) placer: String,
    /// Who asked for its release.
    pub(crate) release_requester: Option<String>,
    /// Who released it.
    pub(crate) releaser: Option<String>,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
    /// When it was placed.
    pub(crate) create_time: Timestamp,
    /// When it was released.
    pub(crate) release_time: Option<Timestamp>,
}

impl LegalHold {
    /// The name of what is held.
    pub(crate) fn target(&self) -> String {
        self.record.map_or_else(|| self.subject.name(), RecordId::name)
    }

    /// Asks for its release, or releases it where somebody else has asked.
    pub(crate) fn release(&mut self, principal: &str, now: Timestamp) -> Result<(), Problem> {
        match (self.state, self.release_requester.as_deref()) {
            (HoldState::Released, _) => {
                let message = format!("{} is released already.", self.id);
                let problem = Problem::new(Reason::InvalidTransition, message);
                return Err(problem.figure("state", self.state.name()).figure("allowed", ""));
            }
            (HoldState::Active, _) => {
                self.state = HoldState::ReleaseRequested;
                self.release_requester = Some(principal.to_owned());
            }
            (HoldState::ReleaseRequested, Some(requester)) if requester == principal => {
                let message = format!("Another principal has to release {}.", self.id);
                return Err(Problem::new(Reason::ApprovalRequired, message));
            }
            (HoldState::ReleaseRequested, _) => {
                self.state = HoldState::Released;
                self.releaser = Some(principal.to_owned());
                self.release_time = Some(now);
            }
        }
        self.revision += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_releases_alone_and_nothing_is_released_twice() {
        let now = Timestamp::from_micros(7);
        let mut hold = LegalHold {
            id: LegalHoldId::generate(),
            subject: SubjectId::generate(),
            record: None,
            authority: "court".to_owned(),
            case_reference: Some("case 1".to_owned()),
            state: HoldState::Active,
            placer: "ann".to_owned(),
            release_requester: None,
            releaser: None,
            revision: 1,
            create_time: Timestamp::default(),
            release_time: None,
        };
        hold.release("ann", now).unwrap();
        assert_eq!(hold.state, HoldState::ReleaseRequested);
        let before = hold.clone();
        assert_eq!(hold.release("ann", now).unwrap_err().reason, Reason::ApprovalRequired);
        assert_eq!(hold, before);
        hold.release("bob", now).unwrap();
        assert_eq!(
            (hold.state, hold.release_time, hold.revision),
            (HoldState::Released, Some(now), 3)
        );
        assert_eq!(hold.release("cas", now).unwrap_err().reason, Reason::InvalidTransition);
    }
}
