//! Consents: what a person permits or denies, to whom, for what, of which records, and when.

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum ConsentResource {}

impl Resource for ConsentResource {
    const COLLECTION: &'static str = "consents";
    const TYPE: &'static str = "consent";
}

/// The id of a consent.
pub(crate) type ConsentId = Id<ConsentResource>;

/// Everybody, or everything.
pub(crate) const ANY: &str = "*";

/// What a person permits or denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consent {
    /// The id.
    pub(crate) id: ConsentId,
    /// Who.
    pub(crate) subject: SubjectId,
    /// To whom: a principal, or [`ANY`].
    pub(crate) grantee: String,
    /// For what: codes of purposes, or [`ANY`].
    pub(crate) purposes: Vec<String>,
    /// Of which types of records; of all where there is none.
    pub(crate) kinds: Vec<String>,
    /// Whether it is permitted; else it is denied.
    pub(crate) permits: bool,
    /// From when on.
    pub(crate) start_time: Timestamp,
    /// Until when; open where there is none.
    pub(crate) end_time: Option<Timestamp>,
    /// When it was revoked.
    pub(crate) revoke_time: Option<Timestamp>,
    /// When it was recorded.
    pub(crate) create_time: Timestamp,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

impl Consent {
    /// Ends it now.
    pub(crate) fn revoke(&mut self, now: Timestamp) -> Result<(), Problem> {
        if self.revoke_time.is_some() {
            let problem =
                Problem::new(Reason::InvalidTransition, format!("{} is revoked already.", self.id));
            return Err(problem.figure("state", "REVOKED").figure("allowed", ""));
        }
        self.revoke_time = Some(now);
        self.revision += 1;
        Ok(())
    }
}
