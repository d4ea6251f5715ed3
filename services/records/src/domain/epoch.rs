//! When an epoch of a tenant's key may be destroyed.

use std::time::Duration;

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

/// An epoch, as far as it matters for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// The epoch: 1, 2, 3.
    pub(crate) number: i32,
    /// When another took its place; none where it is the current one.
    pub(crate) retire_time: Option<Timestamp>,
    /// When it was destroyed.
    pub(crate) destroy_time: Option<Timestamp>,
    /// Whether it wraps any key.
    pub(crate) is_used: bool,
}

impl Epoch {
    /// Whether nothing that lives needs it.
    pub(crate) fn may_end(self) -> Result<(), Problem> {
        let number = self.number;
        if self.retire_time.is_none() {
            let message = format!("Epoch {number} is the current one. Rotate the key first.");
            return Err(refused("ACTIVE", message));
        }
        if self.destroy_time.is_some() {
            return Err(refused("DESTROYED", format!("Epoch {number} is destroyed.")));
        }
        if self.is_used {
            let message = format!("Keys still lie under epoch {number}. See its rotation.");
            return Err(refused("IN_USE", message));
        }
        Ok(())
    }

    /// Whether what backups have of it can go. `living` is a key-encryption key that has wrapped it
    /// and is not destroyed.
    pub(crate) fn may_be_destroyed(
        self,
        can_destroy: bool,
        living: Option<&str>,
        backup_retention: Duration,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if !can_destroy {
            let message = "The key provider cannot tell that a key is destroyed.";
            return Err(refused("RETIRED", message.to_owned()));
        }
        if let Some(kek) = living {
            let message = format!("The key provider still has {kek}, which has wrapped the epoch.");
            return Err(refused("RETIRED", message).figure("kek", kek));
        }
        let end = self.retire_time.map(|time| time.plus(backup_retention));
        match end.filter(|end| now < *end) {
            None => Ok(()),
            Some(end) => {
                let message = format!("Backups from before its end are kept until {end}.");
                let problem = Problem::new(Reason::Retention, message);
                Err(problem.figure("epoch", self.number).figure("end_time", end))
            }
        }
    }
}

fn refused(state: &str, message: String) -> Problem {
    Problem::new(Reason::InvalidTransition, message)
        .figure("state", state)
        .figure("allowed", "RETIRED")
}

/// `RESOURCE_NOT_FOUND` for an epoch.
pub(crate) fn not_found(number: i32) -> Problem {
    Problem::not_found("key", format!("tenantKeys/{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_come_in_their_order() {
        let time = Timestamp::from_micros(1_000_000);
        let epoch = Epoch { number: 1, retire_time: None, destroy_time: None, is_used: true };
        let state = |epoch: Epoch| epoch.may_end().err().map(|it| it.figures["state"].clone());
        assert_eq!(state(epoch).as_deref(), Some("ACTIVE"));
        let retired = Epoch { retire_time: Some(time), ..epoch };
        assert_eq!(state(retired).as_deref(), Some("IN_USE"));
        let gone = Epoch { destroy_time: Some(time), ..retired };
        assert_eq!(state(gone).as_deref(), Some("DESTROYED"));
        let empty = Epoch { is_used: false, ..retired };
        assert_eq!(state(empty), None);

        let day = Duration::from_secs(86_400);
        let decide = |can, living, now| empty.may_be_destroyed(can, living, day, now);
        let refused = decide(false, Some("kek-1"), time).unwrap_err();
        assert!(refused.reason == Reason::InvalidTransition && refused.is_frozen());
        assert!(!refused.figures.contains_key("kek"));
        assert_eq!(decide(true, Some("kek-1"), time).unwrap_err().figures["kek"], "kek-1");
        let end = time.plus(day);
        let before = Timestamp::from_micros(end.micros() - 1);
        let refused = decide(true, None, before).unwrap_err();
        assert_eq!(
            (refused.reason, &refused.figures["epoch"]),
            (Reason::Retention, &"1".to_owned())
        );
        assert_eq!(decide(true, None, end), Ok(()));
    }
}
