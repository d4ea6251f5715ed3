//! The life of a record: it is changed, deleted, brought back, and purged in the end.

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::record::{Record, RecordState};

impl Record {
    /// Whether it may be changed: what is deleted stays as it is.
    pub(crate) fn allow_change(&self) -> Result<(), Problem> {
        self.is_in(RecordState::Active, "changed")
    }

    /// The record, deleted.
    pub(crate) fn delete(self, now: Timestamp) -> Result<Self, Problem> {
        self.is_in(RecordState::Active, "deleted")?;
        let delete_time = Some(now);
        Ok(Self { state: RecordState::Deleted, delete_time, ..self.changed() })
    }

    /// The record, brought back.
    pub(crate) fn undelete(self) -> Result<Self, Problem> {
        self.is_in(RecordState::Deleted, "brought back")?;
        Ok(Self { state: RecordState::Active, delete_time: None, ..self.changed() })
    }

    /// Whether it may be purged because somebody asks for it.
    pub(crate) fn allow_purge(&self) -> Result<(), Problem> {
        self.is_in(RecordState::Deleted, "purged")
    }

    /// The record, purged. Its labels go with its content.
    #[must_use]
    pub(crate) fn purge(self, now: Timestamp) -> Self {
        let (purge_time, labels) = (Some(now), std::collections::BTreeMap::new());
        Self { state: RecordState::Purged, purge_time, labels, ..self.changed() }
    }

    /// The next revision.
    #[must_use]
    pub(crate) fn changed(self) -> Self {
        Self { revision: self.revision + 1, ..self }
    }

    fn is_in(&self, allowed: RecordState, done: &str) -> Result<(), Problem> {
        if self.state == allowed {
            return Ok(());
        }
        let (state, allowed) = (self.state.name(), allowed.name());
        let message = format!("{} is {state}: it can be {done} while it is {allowed}.", self.id);
        Err(Problem::new(Reason::InvalidTransition, message)
            .figure("state", state)
            .figure("allowed", allowed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::content_type::ContentType;
    use crate::domain::record::RecordId;
    use crate::domain::subject::SubjectId;

    const NOW: Timestamp = Timestamp::from_micros(7);

    fn record(state: RecordState) -> Record {
        Record {
            id: RecordId::generate(),
            subject: SubjectId::generate(),
            kind: "kyc-file".to_owned(),
            content_type: ContentType::parse("text/plain").unwrap(),
            labels: BTreeMap::from([("branch".to_owned(), "north".to_owned())]),
            event_time: None,
            version: 1,
            size: 1,
            create_time: NOW,
            update_time: NOW,
            revision: 3,
            state,
            delete_time: None,
            purge_time: None,
            expire_time: None,
        }
    }

    #[test]
    fn each_step_is_allowed_from_one_state() {
        type Step = fn(Record) -> Result<Record, Problem>;
        use RecordState::{Active, Deleted, Purged};
        let steps: [(Step, RecordState); 4] = [
            (|record| record.allow_change().map(|()| record), Active),
            (|record| record.delete(NOW), Active),
            (Record::undelete, Deleted),
            (|record| record.allow_purge().map(|()| record), Deleted),
        ];
        for (step, allowed) in steps {
            for state in [Active, Deleted, Purged] {
                let done = step(record(state));
                if state == allowed {
                    done.unwrap();
                    continue;
                }
                let refused = done.unwrap_err();
                assert_eq!(refused.reason, Reason::InvalidTransition);
                assert_eq!(refused.figures["state"], state.name());
                assert_eq!(refused.figures["allowed"], allowed.name());
            }
        }
    }

    #[test]
    fn each_step_is_a_revision_and_says_when() {
        let deleted = record(RecordState::Active).delete(NOW).unwrap();
        assert_eq!((deleted.revision, deleted.delete_time), (4, Some(NOW)));
        let back = deleted.clone().undelete().unwrap();
        assert_eq!((back.revision, back.delete_time, back.state), (5, None, RecordState::Active));
        let purged = deleted.purge(NOW);
        assert_eq!((purged.revision, purged.purge_time), (5, Some(NOW)));
        assert!(purged.labels.is_empty());
    }
}
