//! Verification: what is known about who a customer is, an axis of its own beside the customer's
//! state.

use serde::Serialize;
use shared::field::{Decoded, invalid};
use shared::ids::{Id, Resource};
use shared::time::Timestamp;
use uuid::Uuid;

use super::codes::codes;
use super::customer::CustomerId;
use super::transition::{NotAllowed, State};

/// The kind of a decision's id. Its name has that of its customer in front.
pub(crate) enum KycDecisionResource {}

impl Resource for KycDecisionResource {
    const COLLECTION: &'static str = "kycDecisions";
    const TYPE: &'static str = "KYC decision";
}

/// The id of a decision.
pub(crate) type KycDecisionId = Id<KycDecisionResource>;

codes! {
    /// Where a verification stands.
    KycState {
        /// Nothing was submitted.
        None = 1 "NONE",
        /// Somebody looks at it.
        InReview = 2 "IN_REVIEW",
        /// Somebody has approved it.
        Approved = 3 "APPROVED",
        /// Somebody has rejected it.
        Rejected = 4 "REJECTED",
        /// It was approved, and has to be looked at again.
        Expired = 5 "EXPIRED",
    }
}

impl State for KycState {
    const WHAT: &'static str = "verification";
    const STATES: &'static [Self] = Self::ALL;

    fn label(self) -> &'static str {
        self.name()
    }

    /// An approval may be looked at again before it expires.
    fn next(self) -> &'static [Self] {
        match self {
            Self::None | Self::Rejected | Self::Expired => &[Self::InReview],
            Self::InReview => &[Self::Approved, Self::Rejected],
            Self::Approved => &[Self::InReview, Self::Expired],
        }
    }
}

/// A step of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum KycStep {
    /// It begins.
    Submit,
    /// It is approved.
    Approve {
        /// How far it goes, 1-9.
        level: i16,
        /// Until when; open where there is none.
        expire_time: Option<Timestamp>,
    },
    /// It is rejected.
    Reject,
    /// An approval ends before its time.
    Expire,
}

/// Where the verification of a customer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kyc {
    /// As it was decided: see `state_at`.
    pub(crate) state: KycState,
    /// How far the last approval goes; 0 where there is none.
    pub(crate) level: i16,
    /// Until when the last approval holds or has held.
    pub(crate) expire_time: Option<Timestamp>,
    /// When it was decided last.
    pub(crate) update_time: Option<Timestamp>,
}

impl Kyc {
    /// Before anything was submitted.
    pub(crate) const NONE: Self =
        Self { state: KycState::None, level: 0, expire_time: None, update_time: None };

    /// The state by the clock.
    pub(crate) fn state_at(&self, now: Timestamp) -> KycState {
        match (self.state, self.expire_time) {
            (KycState::Approved, Some(end)) if end <= now => KycState::Expired,
            (state, _) => state,
        }
    }

    /// Takes a step.
    pub(crate) fn step(&self, step: KycStep, now: Timestamp) -> Result<Self, NotAllowed> {
        let from = self.state_at(now);
        let ended = match self.expire_time {
            Some(end) => Some(end.min(now)),
            None => (self.level > 0).then_some(now),
        };
        let (state, level, expire_time) = match step {
            KycStep::Submit => (KycState::InReview, self.level, self.expire_time),
            KycStep::Approve { level, expire_time } => (KycState::Approved, level, expire_time),
            KycStep::Reject => (KycState::Rejected, 0, ended),
            KycStep::Expire => (KycState::Expired, self.level, ended),
        };
        Ok(Self { state: from.to(state)?, level, expire_time, update_time: Some(now) })
    }
}

/// A version of a record on which a decision rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    /// The record.
    pub(crate) record: Uuid,
    /// Its version, from 1.
    pub(crate) version: i64,
}

impl Evidence {
    /// Reads `records/{uuid}/versions/{n}`, in its one spelling.
    pub(crate) fn parse(name: &str) -> Decoded<Self> {
        let read = || {
            let (record, version) = name.strip_prefix("records/")?.split_once("/versions/")?;
            let (record, version) = (Uuid::try_parse(record).ok()?, version.parse().ok()?);
            let read = Self { record, version };
            (version > 0 && read.name() == name).then_some(read)
        };
        read().ok_or_else(|| invalid("must be records/{uuid}/versions/{n}"))
    }

    /// The name of the version.
    pub(crate) fn name(self) -> String {
        format!("records/{}/versions/{}", self.record, self.version)
    }
}

/// A step that was taken. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KycDecision {
    /// The id: later ones have greater ids.
    pub(crate) id: KycDecisionId,
    /// About whom.
    pub(crate) customer: CustomerId,
    /// Where it led.
    pub(crate) kyc: Kyc,
    /// Who decided.
    pub(crate) reviewer: String,
    /// Why, as a code; may be empty.
    pub(crate) reason_code: String,
    /// On what it rests.
    pub(crate) evidence: Vec<Evidence>,
    /// When.
    pub(crate) create_time: Timestamp,
}

impl KycDecision {
    /// The resource name.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.customer.name(), self.id.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KycState::{Approved, Expired, InReview, None as Nothing, Rejected};

    const NOW: Timestamp = Timestamp::from_micros(1_000);
    const LATER: Timestamp = Timestamp::from_micros(2_000);

    fn approve(expire_time: Option<Timestamp>) -> KycStep {
        KycStep::Approve { level: 2, expire_time }
    }

    fn approved(expire_time: Option<Timestamp>) -> Kyc {
        let submitted = Kyc::NONE.step(KycStep::Submit, NOW).unwrap();
        submitted.step(approve(expire_time), NOW).unwrap()
    }

    #[test]
    fn every_step_is_allowed_where_the_table_says_and_nowhere_else() {
        for state in KycState::ALL {
            let kyc = Kyc { state: *state, ..Kyc::NONE };
            for (step, from) in [
                (KycStep::Submit, &[Nothing, Approved, Rejected, Expired][..]),
                (approve(None), &[InReview]),
                (KycStep::Reject, &[InReview]),
                (KycStep::Expire, &[Approved]),
            ] {
                let taken = kyc.step(step, NOW);
                assert_eq!(taken.is_ok(), from.contains(state), "{step:?} from {state:?}");
                if let Err(refused) = taken {
                    let from: Vec<_> = from.iter().map(|state| state.name()).collect();
                    assert_eq!((refused.state, refused.allowed), (state.name(), from));
                }
            }
        }
    }

    #[test]
    fn an_approval_expires_by_the_clock() {
        let kyc = approved(Some(LATER));
        assert_eq!(kyc.state_at(NOW), Approved);
        assert_eq!(kyc.state_at(LATER), Expired);
        let refused = kyc.step(KycStep::Expire, LATER).unwrap_err();
        assert_eq!((refused.state, refused.allowed), ("EXPIRED", vec!["APPROVED"]));
        assert_eq!(approved(None).state_at(Timestamp::from_micros(i64::MAX)), Approved);
    }

    #[test]
    fn only_an_approval_lifts_what_an_expiry_stops() {
        assert_eq!(Kyc::NONE.expire_time, None);
        let never = Kyc::NONE.step(KycStep::Submit, NOW).unwrap();
        assert_eq!(never.step(KycStep::Reject, NOW).unwrap().expire_time, None);

        for kyc in [approved(None), approved(Some(LATER))] {
            let ended = kyc.step(KycStep::Expire, NOW).unwrap();
            assert_eq!((ended.expire_time, ended.level), (Some(NOW), 2));
            let again = ended.step(KycStep::Submit, LATER).unwrap();
            assert_eq!(again.expire_time, Some(NOW), "a new review does not lift it");
            let rejected = again.step(KycStep::Reject, LATER).unwrap();
            assert_eq!((rejected.expire_time, rejected.level), (Some(NOW), 0));
            let again = rejected.step(KycStep::Submit, LATER).unwrap();
            assert_eq!(again.step(approve(None), LATER).unwrap().expire_time, None);
            // Who is looked at again before the end, and is found wanting, is so from then on.
            let early = kyc.step(KycStep::Submit, NOW).unwrap();
            assert_eq!(early.expire_time, kyc.expire_time);
            assert_eq!(early.step(KycStep::Reject, NOW).unwrap().expire_time, Some(NOW));
        }
    }

    #[test]
    fn evidence_has_one_spelling() {
        let name = "records/01938fb2-0000-7000-8000-00000000000a/versions/3";
        assert_eq!(Evidence::parse(name).unwrap().name(), name);
        for refused in [
            "",
            "records/01938fb2-0000-7000-8000-00000000000a",
            "records/01938fb2-0000-7000-8000-00000000000a/versions/0",
            "records/01938fb2-0000-7000-8000-00000000000a/versions/03",
            "records/01938fb2-0000-7000-8000-00000000000A/versions/3",
            "records/x/versions/3",
            "records/01938fb2-0000-7000-8000-00000000000a/versions/3/",
        ] {
            assert!(Evidence::parse(refused).is_err(), "{refused}");
        }
    }
}
