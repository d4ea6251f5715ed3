//! Whether somebody may read a record: the permission, the purpose, the states, and what the person
//! has permitted or denied.

use shared::field::invalid;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::access::Action;
use super::break_glass::LeaseId;
use super::consent::{ANY, Consent};
use super::purpose::Purpose;
use super::record::{CONTENT_MAX, Record, RecordState, View};
use super::subject::SubjectState;

/// The most bytes of content in one answer.
pub(crate) const ANSWER_MAX: i64 = 2 * 1024 * 1024;

/// What a reader asks for, and what the reader may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What is done.
    pub(crate) action: Action,
    /// How much.
    pub(crate) view: View,
    /// Who.
    pub(crate) principal: String,
    /// What for, or why it is not for that.
    pub(crate) purpose: Result<Purpose, Problem>,
    /// Whether the reader may see content as it is, or the refusal of that.
    pub(crate) full: Result<(), Problem>,
    /// Whether the contents have to fit into one answer.
    pub(crate) is_one_answer: bool,
}

/// What is known of a record that somebody wants to read.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// The record, as of the version that is wanted.
    pub(crate) record: &'a Record,
    /// The state of its subject.
    pub(crate) subject_state: SubjectState,
    /// Whether its type asks for a consent.
    pub(crate) requires_consent: bool,
    /// The consents of its subject.
    pub(crate) consents: &'a [Consent],
    /// The reader's lease that is open on its subject.
    pub(crate) lease: Option<LeaseId>,
    /// When.
    pub(crate) now: Timestamp,
}

impl Reading {
    /// Whether this reading gives content of such a record.
    pub(crate) fn gives_content(&self, record: &Record) -> bool {
        match self.view {
            View::Basic => false,
            View::Masked => record.content_type.is_json(),
            View::Full => true,
        }
    }

    /// Decides, and gives the grounds beside the permission: the consent or the lease.
    pub(crate) fn decide(&self, facts: &Facts<'_>) -> Result<Option<String>, Problem> {
        if self.view == View::Basic {
            return Ok(None);
        }
        if self.view == View::Full {
            self.full.clone()?;
        }
        let purpose = self.purpose.clone()?;
        facts.subject_state.allow_read(facts.record.subject, purpose)?;
        // What is deleted is there until it is purged: the person it is about gets it.
        let is_export = self.action == Action::EXPORT_SUBJECT;
        if !(is_export && facts.record.state == RecordState::Deleted) {
            allow_content(facts.record)?;
        }
        let grounds = self.grounds(purpose, facts)?;
        if self.is_one_answer && self.gives_content(facts.record) {
            allow_unary(facts.record)?;
        }
        Ok(grounds)
    }

    /// What the person denies beats what the person permits. A lease beats both, and whoever holds
    /// one has it recorded unless the person permits it anyway.
    fn grounds(&self, purpose: Purpose, facts: &Facts<'_>) -> Result<Option<String>, Problem> {
        // The law does not ask the person, nor is the person asked to get what is asked for.
        if purpose.is_legal() || self.is_request_of_subject(purpose) {
            return Ok(None);
        }
        let fits = |consent: &&Consent| self.falls_under(consent, purpose, facts);
        let mut fitting = facts.consents.iter().filter(fits);
        let is_denied = fitting.clone().any(|consent| !consent.permits);
        match (fitting.next(), facts.lease) {
            (Some(permit), _) if !is_denied => Ok(Some(permit.id.name())),
            (_, Some(lease)) => Ok(Some(lease.name())),
            (None, None) if !facts.requires_consent => Ok(None),
            _ => Err(consent_missing(facts.record)),
        }
    }

    fn is_request_of_subject(&self, purpose: Purpose) -> bool {
        self.action == Action::EXPORT_SUBJECT && purpose.is_request_of_subject()
    }

    fn falls_under(&self, consent: &Consent, purpose: Purpose, facts: &Facts<'_>) -> bool {
        let is_code = |code: &String| code == ANY || code == purpose.code();
        consent.subject == facts.record.subject
            && consent.revoke_time.is_none()
            && consent.start_time <= facts.now
            && consent.end_time.is_none_or(|end| facts.now < end)
            && (consent.grantee == ANY || consent.grantee == self.principal)
            && consent.purposes.iter().any(is_code)
            && (consent.kinds.is_empty() || consent.kinds.contains(&facts.record.kind))
    }
}

fn allow_content(record: &Record) -> Result<(), Problem> {
    if record.state == RecordState::Active {
        return Ok(());
    }
    let (state, allowed) = (record.state.name(), RecordState::Active.name());
    let message = format!("{} is {state}: its content is not to be had.", record.id);
    let problem = Problem::new(Reason::InvalidTransition, message);
    Err(problem.figure("state", state).figure("allowed", allowed))
}

fn allow_unary(record: &Record) -> Result<(), Problem> {
    if usize::try_from(record.size).is_ok_and(|size| size <= CONTENT_MAX) {
        return Ok(());
    }
    let sentence = format!(
        "is for content of at most {CONTENT_MAX} bytes, and {} has {}: DownloadRecord gives it",
        record.id, record.size
    );
    Err(invalid(sentence).in_field("view"))
}

/// Whether contents of this many bytes together fit into one answer.
pub(crate) fn allow_together(bytes: i64) -> Result<(), Problem> {
    if bytes <= ANSWER_MAX {
        return Ok(());
    }
    let sentence = format!(
        "must have at most {ANSWER_MAX} bytes of content together, and have {bytes}: ask for fewer"
    );
    Err(invalid(sentence).in_field("names"))
}

fn consent_missing(record: &Record) -> Problem {
    let message = format!("{} has not consented to this.", record.subject);
    Problem::new(Reason::ConsentMissing, message).figure("break_glass", "available")
}

/// Refuses a purpose that the caller's grants do not hold.
pub(crate) fn not_granted(purpose: Purpose) -> Problem {
    let message = "must be one that the caller's grants hold";
    Problem::new(Reason::PurposeRequired, message)
        .in_field("purpose")
        .figure("purpose", purpose.code())
}

#[cfg(test)]
mod tests;
