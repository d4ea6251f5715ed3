//! Rotations of keys: which key, how far they are, and what they had to leave behind.

use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

/// The most names of what does not open that a rotation keeps.
pub(crate) const BROKEN_MAX: usize = 100;

/// The kind of resource.
pub(crate) enum RotationResource {}

impl Resource for RotationResource {
    const COLLECTION: &'static str = "rotations";
    const TYPE: &'static str = "rotation";
}

/// The id of a rotation.
pub(crate) type RotationId = Id<RotationResource>;

/// Which key is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyScope {
    /// The key-encryption key of the provider, above the tenant's keys.
    Kek,
    /// The tenant's key, above the subjects' and the indexes'.
    TenantKey,
    /// The key of blind indexes.
    IndexKey,
}

impl KeyScope {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kek => "KEK",
            Self::TenantKey => "TENANT_KEY",
            Self::IndexKey => "INDEX_KEY",
        }
    }
}

/// Where a rotation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotationState {
    /// It moves what is below the old key.
    Running,
    /// Nothing is left below the old key.
    Done,
    /// It is through, and left behind what does not open.
    Incomplete,
}

impl RotationState {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Incomplete => "INCOMPLETE",
        }
    }
}

/// A rotation of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// The id.
    pub(crate) id: RotationId,
    /// Which key.
    pub(crate) scope: KeyScope,
    /// Whether the keys below it and all bodies are made anew too.
    pub(crate) reseal: bool,
    /// Where it stands.
    pub(crate) state: RotationState,
    /// The epoch or version that is in use from it on; 0 for a key-encryption key.
    pub(crate) target: i32,
    /// How much there was to move when it began.
    pub(crate) total: i64,
    /// How much is moved.
    pub(crate) done: i64,
    /// How far it is, in the words of whoever moves it.
    pub(crate) place: String,
    /// Names of what does not open.
    pub(crate) broken: Vec<String>,
    /// When it was asked for.
    pub(crate) create_time: Timestamp,
    /// When it moved something last. No two states of a rotation have the same.
    pub(crate) update_time: Timestamp,
    /// When it was done.
    pub(crate) done_time: Option<Timestamp>,
}

impl Rotation {
    /// A rotation that begins.
    pub(crate) fn new(scope: KeyScope, target: i32, place: String, now: Timestamp) -> Self {
        Self {
            id: RotationId::generate(),
            scope,
            reseal: false,
            state: RotationState::Running,
            target,
            total: 0,
            done: 0,
            place,
            broken: Vec::new(),
            create_time: now,
            update_time: now,
            done_time: None,
        }
    }

    /// The rotation after some more is moved.
    #[must_use]
    pub(crate) fn moved(&self, place: String, step: &Step, now: Timestamp) -> Self {
        let mut broken = self.broken.clone();
        for name in &step.broken {
            if broken.len() < BROKEN_MAX && !broken.contains(name) {
                broken.push(name.clone());
            }
        }
        let update_time = now.max(self.update_time.next());
        Self { place, broken, done: self.done + step.done, update_time, ..self.clone() }
    }

    /// The rotation once it is through.
    #[must_use]
    pub(crate) fn ended(&self, now: Timestamp) -> Self {
        let state = match self.broken.is_empty() {
            true => RotationState::Done,
            false => RotationState::Incomplete,
        };
        let update_time = now.max(self.update_time.next());
        Self { state, update_time, done_time: Some(update_time), ..self.clone() }
    }

    /// How much is still below the old key.
    pub(crate) fn lag(&self) -> i64 {
        match self.state {
            RotationState::Running => (self.total - self.done).max(0),
            RotationState::Done | RotationState::Incomplete => 0,
        }
    }
}

/// What one step of a rotation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// How much it moved.
    pub(crate) done: i64,
    /// Names of what does not open.
    pub(crate) broken: Vec<String>,
}

/// `INVALID_TRANSITION`: a rotation of this scope runs.
pub(crate) fn runs_already(scope: KeyScope) -> Problem {
    let message = format!("A rotation of the {} runs.", scope.name());
    Problem::new(Reason::InvalidTransition, message)
        .figure("scope", scope.name())
        .figure("state", RotationState::Running.name())
        .figure("allowed", "DONE, INCOMPLETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation() -> Rotation {
        let mut rotation =
            Rotation::new(KeyScope::TenantKey, 2, "start".to_owned(), Timestamp::from_micros(5));
        rotation.total = 300;
        rotation
    }

    #[test]
    fn every_state_has_a_time_of_its_own() {
        let one = rotation();
        let two = one.moved("a".to_owned(), &Step::default(), Timestamp::from_micros(5));
        let three = two.ended(Timestamp::from_micros(1));
        assert!(one.update_time < two.update_time && two.update_time < three.update_time);
        assert_eq!((two.place.as_str(), three.done_time), ("a", Some(three.update_time)));
    }

    #[test]
    fn what_does_not_open_is_named_once_and_leaves_it_incomplete() {
        let now = Timestamp::from_micros(9);
        let step = |names: std::ops::Range<i32>| Step {
            done: 2,
            broken: names.map(|name| format!("records/{name}")).collect(),
        };
        let whole = rotation().moved(String::new(), &step(0..0), now);
        assert_eq!((whole.ended(now).state, whole.done), (RotationState::Done, 2));
        assert_eq!((whole.lag(), whole.ended(now).lag()), (298, 0));
        let some = whole.moved(String::new(), &step(0..2), now);
        let again = some.moved(String::new(), &step(1..200), now);
        assert_eq!((some.broken.len(), again.broken.len()), (2, BROKEN_MAX));
        assert_eq!(again.broken[..3], ["records/0", "records/1", "records/2"]);
        assert_eq!(again.ended(now).state, RotationState::Incomplete);
    }
}
