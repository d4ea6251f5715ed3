//! The access log: who did or tried what with whose data, what for, and what became of it.

use shared::commitment::Commitment;
use shared::ids::{Id, Resource};
use shared::problem::Reason;
use shared::time::Timestamp;

use super::purpose::Purpose;
use super::record::{RecordId, View};
use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum AccessResource {}

impl Resource for AccessResource {
    const COLLECTION: &'static str = "accessEntries";
    const TYPE: &'static str = "access entry";
}

/// The id of an entry of the access log.
pub(crate) type AccessId = Id<AccessResource>;

/// The name of the text that the log commits to.
pub(crate) const PRINCIPAL: &str = "principal";

/// What somebody did or tried: the permission that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(&'static str);

impl Action {
    pub(crate) const CREATE_SUBJECT: Self = Self("records.subjects.create");
    pub(crate) const EXPORT_SUBJECT: Self = Self("records.subjects.export");
    pub(crate) const ERASE_SUBJECT: Self = Self("records.subjects.erase");
    pub(crate) const APPROVE_ERASURE: Self = Self("records.erasures.approve");
    pub(crate) const CREATE_RECORD: Self = Self("records.records.create");
    pub(crate) const UPDATE_RECORD: Self = Self("records.records.update");
    pub(crate) const UPLOAD_RECORD: Self = Self("records.records.upload");
    pub(crate) const GET_RECORD: Self = Self("records.records.get");
    pub(crate) const LOOKUP_RECORDS: Self = Self("records.records.lookup");
    pub(crate) const DELETE_RECORD: Self = Self("records.records.delete");
    pub(crate) const PURGE_RECORD: Self = Self("records.records.purge");
    pub(crate) const CREATE_RECORD_TYPE: Self = Self("records.recordTypes.create");
    pub(crate) const UPDATE_RECORD_TYPE: Self = Self("records.recordTypes.update");
    pub(crate) const PLACE_LEGAL_HOLD: Self = Self("records.legalHolds.place");
    pub(crate) const RELEASE_LEGAL_HOLD: Self = Self("records.legalHolds.release");
    pub(crate) const SET_RETENTION_INTEREST: Self = Self("records.retentionInterests.set");
    pub(crate) const GRANT_CONSENT: Self = Self("records.consents.grant");
    pub(crate) const REVOKE_CONSENT: Self = Self("records.consents.revoke");
    pub(crate) const OPEN_BREAK_GLASS: Self = Self("records.breakGlass.open");
    pub(crate) const REVIEW_BREAK_GLASS: Self = Self("records.breakGlass.review");
    pub(crate) const UPDATE_POLICY: Self = Self("records.policies.update");
    pub(crate) const ROTATE_KEY: Self = Self("records.keys.rotate");
    pub(crate) const DESTROY_KEY: Self = Self("records.keys.destroy");
    pub(crate) const LIST_ACCESSES: Self = Self("records.accesses.list");
    pub(crate) const LIST_ACCESS_ENTRIES: Self = Self("records.accessEntries.list");

    /// The permission.
    pub(crate) fn permission(self) -> &'static str {
        self.0
    }
}

/// One entry of the access log. It holds ids, codes and no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The id of the entry.
    pub(crate) id: AccessId,
    /// When.
    pub(crate) time: Timestamp,
    /// Who.
    pub(crate) principal: String,
    /// What the log says in place of who.
    pub(crate) commitment: Commitment,
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
    /// A resource that is no record: `legalHolds/{uuid}`.
    pub(crate) resource: Option<String>,
    /// On what it rests beside the permission: `consents/{uuid}`, `breakGlassLeases/{uuid}`.
    pub(crate) grounds: Option<String>,
    /// The trace of the call.
    pub(crate) trace_id: String,
}
