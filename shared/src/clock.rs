//! An injected clock: what time it is, for those who may have to be told another.

use std::fmt;
use std::sync::Arc;

use crate::time::Timestamp;

/// Tells the time. Tests hand out a clock of their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())))
    }

    /// A clock that says what a function says.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
