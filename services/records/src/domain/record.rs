//! Records: sealed documents about a subject, in versions that never change.

use std::collections::BTreeMap;

use shared::ids::{Id, Resource};
use shared::time::Timestamp;

use super::content_type::ContentType;
use super::subject::SubjectId;

/// The most bytes of content that a record may have.
pub(crate) const CONTENT_MAX: usize = 1024 * 1024;

/// The kind of resource.
pub(crate) enum RecordResource {}

impl Resource for RecordResource {
    const COLLECTION: &'static str = "records";
    const TYPE: &'static str = "record";
}

/// The id of a record.
pub(crate) type RecordId = Id<RecordResource>;

/// How much of a record a read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Everything but the content.
    Basic,
    /// JSON with its values masked; no other content.
    Masked,
    /// The content.
    Full,
}

impl View {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Basic => "BASIC",
            Self::Masked => "MASKED",
            Self::Full => "FULL",
        }
    }
}

/// Whether the content of a record can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordState {
    /// It can.
    Active,
    /// Not until it is undeleted.
    Deleted,
    /// Never more.
    Purged,
}

impl RecordState {
    /// The name on the wire, without its prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Deleted => "DELETED",
            Self::Purged => "PURGED",
        }
    }
}

/// What a record says of itself without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The id.
    pub(crate) id: RecordId,
    /// Whom it is about.
    pub(crate) subject: SubjectId,
    /// What it is: "kyc-file".
    pub(crate) kind: String,
    /// The media type of the content of this version.
    pub(crate) content_type: ContentType,
    /// The caller's own keys and values.
    pub(crate) labels: BTreeMap<String, String>,
    /// When what it describes happened.
    pub(crate) event_time: Option<Timestamp>,
    /// The version: 1, 2, 3, without gaps.
    pub(crate) version: i64,
    /// Bytes of the content of this version.
    pub(crate) size: i64,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When its last version was created.
    pub(crate) update_time: Timestamp,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
    /// Whether its content can be had.
    pub(crate) state: RecordState,
    /// When it was deleted.
    pub(crate) delete_time: Option<Timestamp>,
    /// When its content was destroyed.
    pub(crate) purge_time: Option<Timestamp>,
    /// From when on the retention of its type lets it be purged.
    pub(crate) expire_time: Option<Timestamp>,
}
