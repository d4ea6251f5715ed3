//! The one rule of repeating: what concurrent work undid, and what a broken connection cannot have
//! committed. Bounded, with jitter, counted, inside the deadline.

use std::time::Duration;

use super::unit::Step;
use super::{Config, DbError, Scope, UnitError};

/// The attempts at one unit of work.
pub(super) struct Retry<'a> {
    scope: Scope,
    config: &'a Config,
    retries: u32,
    dead: usize,
}

/// What follows an attempt.
pub(super) enum Next<T, E> {
    /// Nothing.
    Done(Result<T, E>),
    /// Another one, after this much time.
    Again(Duration),
}

impl<'a> Retry<'a> {
    pub(super) fn new(scope: Scope, config: &'a Config) -> Self {
        Self { scope, config, retries: 0, dead: 0 }
    }

    /// Repeats so far, without those that found a dead connection.
    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    /// What follows an attempt that ended like this.
    pub(super) fn next<T, E: UnitError>(&mut self, step: Step<T, E>) -> Next<T, E> {
        match step {
            Step::Done(value) => Next::Done(Ok(value)),
            // Connections that died in the pool, as after a restart of Postgres, cost nothing.
            Step::Dead if self.dead < self.config.pool_size => {
                self.dead += 1;
                Next::Again(Duration::ZERO)
            }
            Step::Dead => Next::Done(Err(DbError::Closed.into())),
            Step::Failed(error) if error.database().is_some_and(DbError::is_retryable) => {
                self.retries += 1;
                let delay = backoff(self.retries);
                if self.retries > self.config.retries || delay >= self.scope.deadline.remaining() {
                    return Next::Done(Err(error));
                }
                Next::Again(delay)
            }
            Step::Failed(error) => Next::Done(Err(error)),
        }
    }
}

/// 2, 4 .. 64 ms, half of it by chance, so that those who met once do not meet again.
fn backoff(retries: u32) -> Duration {
    let full = 1_000_u64 << retries.min(6);
    Duration::from_micros(rand::random_range(full / 2..=full))
}
