//! An entry of the access log as it was read back: its codes as they stand there, whoever wrote
//! them, so that one of another version of this service is no riddle.

use shared::commitment::Commitment;
use shared::ids::TenantId;
use shared::time::Timestamp;
use shared::transparency::{Hash, leaf_hash};

use super::access::{AccessId, PRINCIPAL};
use super::access_leaf;
use super::record::{RecordId, View};
use super::subject::SubjectId;

/// An entry of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessEntry {
    /// The id of the entry.
    pub(crate) id: AccessId,
    /// When.
    pub(crate) time: Timestamp,
    /// Who.
    pub(crate) principal: String,
    /// What the log says in place of who; none of an entry from before entries were leaves.
    pub(crate) commitment: Option<Commitment>,
    /// The service that called on the principal's behalf, where one did.
    pub(crate) workload: Option<String>,
    /// What: the permission that it took.
    pub(crate) action: String,
    /// Whose data; unknown where the record is.
    pub(crate) subject: Option<SubjectId>,
    /// Which record.
    pub(crate) record: Option<RecordId>,
    /// Which version of it.
    pub(crate) version: Option<i64>,
    /// How much of it.
    pub(crate) view: Option<View>,
    /// What for.
    pub(crate) purpose: Option<String>,
    /// Why nothing was given; none where it was.
    pub(crate) refusal: Option<String>,
    /// A resource that is no record.
    pub(crate) resource: Option<String>,
    /// On what it rests beside the permission.
    pub(crate) grounds: Option<String>,
    /// The trace of the call.
    pub(crate) trace_id: String,
}

impl AccessEntry {
    /// What it was about.
    pub(crate) fn target(&self) -> Option<String> {
        self.record.map(RecordId::name).or_else(|| self.resource.clone())
    }

    /// The leaf of the log that it is; none of an entry that never was one.
    pub(crate) fn leaf(&self, tenant: TenantId) -> Option<String> {
        let commitment = self.commitment.as_ref()?;
        Some(access_leaf::leaf_of_entry(tenant, self, commitment))
    }

    /// Whether it says what was logged under this hash.
    pub(crate) fn is_logged_as(&self, leaf: &str, hash: Hash) -> bool {
        let opens = |one: &Commitment| one.opens(PRINCIPAL, &self.principal);
        self.commitment.as_ref().is_some_and(opens) && leaf_hash(leaf) == hash
    }
}

#[cfg(test)]
pub(super) mod tests {
    use shared::problem::Reason;

    use super::*;
    use crate::domain::access::{Access, Action};
    use crate::domain::purpose::Purpose;

    fn access() -> Access {
        let principal = "test:ada".to_owned();
        Access {
            id: AccessId::generate(),
            time: Timestamp::from_micros(1_795_338_000_000_001),
            commitment: Commitment::new(PRINCIPAL, &principal),
            principal,
            workload: Some("accounts".to_owned()),
            action: Action::GET_RECORD,
            subject: Some(SubjectId::generate()),
            record: Some(RecordId::generate()),
            version: Some(3),
            view: Some(View::Full),
            purpose: Purpose::parse("KYC").ok(),
            refusal: Some(Reason::ConsentMissing),
            resource: Some("consents/1".to_owned()),
            grounds: Some("breakGlassLeases/1".to_owned()),
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        }
    }

    fn read_back(access: &Access) -> AccessEntry {
        AccessEntry {
            id: access.id,
            time: access.time,
            principal: access.principal.clone(),
            commitment: Some(access.commitment.clone()),
            workload: access.workload.clone(),
            action: access.action.permission().to_owned(),
            subject: access.subject,
            record: access.record,
            version: access.version,
            view: access.view,
            purpose: access.purpose.map(|purpose| purpose.code().to_owned()),
            refusal: access.refusal.map(|reason| shared::problem::reason_name(reason).to_owned()),
            resource: access.resource.clone(),
            grounds: access.grounds.clone(),
            trace_id: access.trace_id.clone(),
        }
    }

    #[test]
    fn what_is_read_back_has_the_leaf_that_was_written() {
        let tenant = TenantId::generate();
        let full = access();
        let mut bare = Access { workload: None, subject: None, record: None, ..access() };
        bare = Access { version: None, view: None, purpose: None, refusal: None, ..bare };
        bare = Access { resource: None, grounds: None, ..bare };
        for access in [full, bare] {
            let (entry, leaf) = (read_back(&access), access_leaf::leaf(tenant, &access));
            assert_eq!(entry.leaf(tenant).as_ref(), Some(&leaf));
            assert!(entry.is_logged_as(&leaf, leaf_hash(&leaf)));
            assert!(!entry.is_logged_as(&leaf, leaf_hash("")));
            assert!(!leaf.contains(&access.principal), "{leaf}");
            let other = AccessEntry { principal: "test:eve".to_owned(), ..entry };
            assert!(!other.is_logged_as(&leaf, leaf_hash(&leaf)));
        }
        let old = AccessEntry { commitment: None, ..read_back(&access()) };
        assert_eq!(old.leaf(tenant), None);
    }
}
