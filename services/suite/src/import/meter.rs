//! Tells how far it is, about every second.

use std::time::{Duration, Instant};

use crate::progress::Progress;

/// The time from one word to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells how far it is.
pub(super) struct Meter {
    progress: Progress,
    last: Option<Instant>,
}

impl Meter {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, last: None }
    }

    /// Says it.
    pub(super) fn tell(&mut self, line: &str) {
        self.progress.say(line);
    }

    /// Says it, unless something was said just now.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            self.progress.say(&line());
        }
    }
}
