//! How long a call may take. It travels with the call and shrinks on every hop.

use std::time::Duration;

use tokio::time::Instant;

/// The point in time after which nobody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline after this much time.
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// The time that is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The deadline as tokio has it.
    pub fn instant(self) -> Instant {
        self.0
    }
}
