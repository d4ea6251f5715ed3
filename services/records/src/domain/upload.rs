//! Uploads: content that is on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::ids::{Id, Resource};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::record::RecordId;
use super::subject::SubjectId;

/// The most bytes of content in a frame.
pub(crate) const FRAME_MAX: usize = 256 * 1024;

/// The kind of resource.
pub(crate) enum UploadResource {}

impl Resource for UploadResource {
    const COLLECTION: &'static str = "uploads";
    const TYPE: &'static str = "upload";
}

/// The id of an upload, which is its request id.
pub(crate) type UploadId = Id<UploadResource>;

/// What an upload says of the version that it makes. It holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The type of the record.
    pub(crate) kind: String,
    /// The media type of the content.
    pub(crate) content_type: String,
    /// The labels of a new record.
    pub(crate) labels: BTreeMap<String, String>,
    /// The event time of a new record.
    pub(crate) event_time: Option<Timestamp>,
    /// The revision that the record has to have still, where the caller cares.
    pub(crate) revision: Option<i64>,
}

/// Content that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The id.
    pub(crate) id: UploadId,
    /// The hash of what was asked for.
    pub(crate) request_hash: Vec<u8>,
    /// The record that it makes, or of which it makes a version.
    pub(crate) record: RecordId,
    /// Whom that is about.
    pub(crate) subject: SubjectId,
    /// The version that it makes: 1 is a new record.
    pub(crate) version: i64,
    /// What it says of the version.
    pub(crate) header: Header,
    /// The id of the data key.
    pub(crate) data_key_id: uuid::Uuid,
    /// Which of the subject's keys wraps the data key.
    pub(crate) subject_key_generation: i32,
    /// The wrapped data key; none once it is done.
    pub(crate) data_key: Option<Vec<u8>>,
    /// How many segments are kept, without the last.
    pub(crate) segments: u32,
    /// How much of the content is kept; its size once it is done.
    pub(crate) received: u64,
    /// Who streams into it now.
    pub(crate) lease: Option<Lease>,
    /// When it was begun.
    pub(crate) create_time: Timestamp,
    /// When it is removed.
    pub(crate) expire_time: Timestamp,
    /// When its content became a version of its record.
    pub(crate) done_time: Option<Timestamp>,
}

/// The right to stream into an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Whose it is.
    pub(crate) id: uuid::Uuid,
    /// Until when, unless it is renewed.
    pub(crate) until: Timestamp,
}

impl Upload {
    /// Whether another stream may go on with it now.
    pub(crate) fn allow_resume(&self, now: Timestamp) -> Result<(), Problem> {
        match self.lease {
            Some(lease) if now < lease.until => Err(in_progress()),
            _ => Ok(()),
        }
    }
}

/// `REQUEST_IN_PROGRESS` for an upload.
pub(crate) fn in_progress() -> Problem {
    let message = "Another stream with this request_id is still running.";
    Problem::new(Reason::RequestInProgress, message).retry_after(Duration::from_secs(1))
}

/// `CONTENTION` for an upload whose kept content is of no use any more.
pub(crate) fn begin_anew() -> Problem {
    let message = "What was kept of the upload cannot be used any more. Begin anew.";
    Problem::new(Reason::Contention, message)
}
