//! Domain types as the wire has them.

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use crate::domain::record::{Record, RecordState, View};
use crate::domain::rotation::{KeyScope, Rotation, RotationState};
use crate::domain::subject::{Subject, SubjectState};

/// A record without its content.
pub(super) fn basic(record: Record) -> wire::Record {
    self::record(record, View::Basic, Vec::new())
}

/// A record, with as much of its content as the view gives.
pub(super) fn record(record: Record, view: View, content: Vec<u8>) -> wire::Record {
    let view = match view {
        View::Basic => wire::RecordView::Basic,
        View::Masked => wire::RecordView::Masked,
        View::Full => wire::RecordView::Full,
    };
    let state = match record.state {
        RecordState::Active => wire::record::State::Active,
        RecordState::Deleted => wire::record::State::Deleted,
        RecordState::Purged => wire::record::State::Purged,
    };
    wire::Record {
        name: record.id.name(),
        subject: record.subject.name(),
        r#type: record.kind,
        content_type: record.content_type.to_string(),
        content: content.into(),
        labels: record.labels,
        event_time: record.event_time.map(Timestamp::encode),
        version: record.version,
        size_bytes: record.size,
        view: view.into(),
        create_time: Some(record.create_time.encode()),
        update_time: Some(record.update_time.encode()),
        etag: etag(record.revision),
        state: state.into(),
        delete_time: record.delete_time.map(Timestamp::encode),
        purge_time: record.purge_time.map(Timestamp::encode),
        expire_time: record.expire_time.map(Timestamp::encode),
    }
}

/// A subject.
pub(super) fn subject(subject: &Subject) -> wire::Subject {
    let state = match subject.state {
        SubjectState::Active => wire::subject::State::Active,
        SubjectState::Restricted => wire::subject::State::Restricted,
        SubjectState::Erased => wire::subject::State::Erased,
    };
    wire::Subject {
        name: subject.id.name(),
        state: state.into(),
        create_time: Some(subject.create_time.encode()),
        etag: etag(subject.revision),
    }
}

/// An etag (RFC 7232).
pub(super) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Whether the etag that a caller sent is the current one; any is, where none was sent.
pub(super) fn check_etag(sent: &str, revision: i64, name: &str) -> Result<(), Problem> {
    let current = etag(revision);
    if sent.is_empty() || sent == current {
        return Ok(());
    }
    let message = format!("{name} has changed meanwhile: its etag is {current}.");
    Err(Problem::new(Reason::EtagMismatch, message).figure("etag", current))
}

/// A rotation of a key.
pub(super) fn rotation(rotation: Rotation) -> wire::Rotation {
    let scope = match rotation.scope {
        KeyScope::Kek => wire::KeyScope::Kek,
        KeyScope::TenantKey => wire::KeyScope::TenantKey,
        KeyScope::IndexKey => wire::KeyScope::IndexKey,
    };
    let state = match rotation.state {
        RotationState::Running => wire::rotation::State::Running,
        RotationState::Done => wire::rotation::State::Done,
        RotationState::Incomplete => wire::rotation::State::Incomplete,
    };
    wire::Rotation {
        name: rotation.id.name(),
        scope: scope.into(),
        reseal: rotation.reseal,
        state: state.into(),
        total: rotation.total,
        done: rotation.done,
        create_time: Some(rotation.create_time.encode()),
        update_time: Some(rotation.update_time.encode()),
        done_time: rotation.done_time.map(Timestamp::encode),
        broken: rotation.broken,
    }
}
