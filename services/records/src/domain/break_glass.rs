//! Break-glass leases: what opens the data of one person to one principal in an emergency.

use std::time::Duration;

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::subject::SubjectId;

/// The kind of resource.
pub(crate) enum LeaseResource {}

impl Resource for LeaseResource {
    const COLLECTION: &'static str = "breakGlassLeases";
    const TYPE: &'static str = "break-glass lease";
}

/// The id of a lease.
pub(crate) type LeaseId = Id<LeaseResource>;

/// How long a lease is unless asked otherwise, and at most.
pub(crate) const DURATION: Duration = Duration::from_secs(60 * 60);
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(4 * 60 * 60);
/// Within this time from its begin a lease has to be reviewed.
pub(crate) const REVIEW_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Verdict {
    /// It was an emergency.
    Justified,
    /// It was none.
    Unjustified,
}

impl Verdict {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Justified => "JUSTIFIED",
            Self::Unjustified => "UNJUSTIFIED",
        }
    }
}

/// What opens the data of one person to one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The id.
    pub(crate) id: LeaseId,
    /// Whose data.
    pub(crate) subject: SubjectId,
    /// Who holds it.
    pub(crate) principal: String,
    /// Why: "unconscious-patient".
    pub(crate) reason_code: String,
    /// Why, in words; none once the subject is erased.
    pub(crate) reason: Option<String>,
    /// When it was opened.
    pub(crate) create_time: Timestamp,
    /// When it ends, or has ended.
    pub(crate) end_time: Timestamp,
    /// By when it has to be reviewed.
    pub(crate) review_due_time: Timestamp,
    /// What the review said.
    pub(crate) verdict: Option<Verdict>,
    /// Who reviewed it.
    pub(crate) reviewer: Option<String>,
    /// When it was reviewed.
    pub(crate) review_time: Option<Timestamp>,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

impl Lease {
    /// Ends it before its time: by its holder. For everybody else there is none.
    pub(crate) fn close(&mut self, principal: &str, now: Timestamp) -> Result<(), Problem> {
        if self.principal != principal {
            return Err(self.id.not_found());
        }
        if self.end_time <= now {
            return Err(transition(self.id, "ENDED"));
        }
        self.end_time = now;
        self.revision += 1;
        Ok(())
    }

    /// Says whether it was justified: by anybody but its holder. One that was not ends.
    pub(crate) fn review(
        &mut self,
        principal: &str,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if self.principal == principal {
            let message = format!("Another principal has to review {}.", self.id);
            return Err(Problem::new(Reason::ApprovalRequired, message));
        }
        if let Some(verdict) = self.verdict {
            return Err(transition(self.id, verdict.name()));
        }
        self.verdict = Some(verdict);
        self.reviewer = Some(principal.to_owned());
        self.review_time = Some(now);
        if verdict == Verdict::Unjustified {
            self.end_time = self.end_time.min(now);
        }
        self.revision += 1;
        Ok(())
    }
}

fn transition(id: LeaseId, state: &str) -> Problem {
    let message = format!("{id} is {state} already.");
    Problem::new(Reason::InvalidTransition, message).figure("state", state).figure("allowed", "")
}

/// `APPROVAL_REQUIRED` where a lease of the principal waits for its review for too long.
pub(crate) fn unreviewed(id: LeaseId) -> Problem {
    let message = format!("{id} has to be reviewed first.");
    Problem::new(Reason::ApprovalRequired, message).figure("lease", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            id: LeaseId::generate(),
            subject: SubjectId::generate(),
            principal: "ann".to_owned(),
            reason_code: "emergency".to_owned(),
            reason: None,
            create_time: Timestamp::default(),
            end_time: Timestamp::from_micros(100),
            review_due_time: Timestamp::from_micros(1_000),
            verdict: None,
            reviewer: None,
            review_time: None,
            revision: 1,
        }
    }

    #[test]
    fn its_holder_ends_it_once() {
        let (mut lease, now) = (lease(), Timestamp::from_micros(50));
        assert_eq!(lease.close("bob", now).unwrap_err().reason, Reason::ResourceNotFound);
        lease.close("ann", now).unwrap();
        assert_eq!(lease.end_time, now);
        assert_eq!(lease.close("ann", now).unwrap_err().reason, Reason::InvalidTransition);
    }

    #[test]
    fn somebody_else_reviews_it_once_and_what_was_not_justified_ends() {
        for verdict in [Verdict::Justified, Verdict::Unjustified] {
            let (mut lease, now) = (lease(), Timestamp::from_micros(50));
            let refused = lease.review("ann", verdict, now).unwrap_err();
            assert_eq!(refused.reason, Reason::ApprovalRequired);
            lease.review("bob", verdict, now).unwrap();
            assert_eq!(lease.end_time == now, verdict == Verdict::Unjustified);
            let refused = lease.review("cas", verdict, now).unwrap_err();
            assert_eq!(refused.figures["state"], verdict.name());
        }
    }
}
