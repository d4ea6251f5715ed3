//! Places for content that streams: each takes some memory, so there are not many.

use std::sync::Arc;
use std::time::Duration;

use shared::problem::{Problem, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config;

/// The limits of content that streams.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// The most bytes of a body.
    pub(crate) body_max: u64,
    /// How long a caller may take for the next frame.
    pub(crate) idle: Duration,
    /// How long an upload is kept with which nobody goes on.
    pub(crate) upload_age: Duration,
    /// How long a stream that says nothing keeps others from its upload.
    pub(crate) lease: Duration,
    places: Arc<Semaphore>,
}

impl Streams {
    /// As configured.
    pub(crate) fn new(config: &config::Streams) -> Self {
        Self {
            body_max: config.body_max,
            idle: config.stream_idle,
            upload_age: config.upload_age,
            lease: config.upload_lease,
            places: Arc::new(Semaphore::new(config.at_once_max)),
        }
    }

    /// A place, for as long as it is kept.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = "The service has as many streams of content as it may have.";
            Problem::new(Reason::Overloaded, message).retry_after(Duration::from_secs(1))
        })
    }
}
