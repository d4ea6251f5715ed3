//! Domain types as the wire has them.

use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use crate::domain::record::{Record, View};
use crate::domain::subject::{Subject, SubjectState};

/// A record, with as much of its content as the view gives.
pub(super) fn record(record: Record, view: View, content: Vec<u8>) -> wire::Record {
    let view = match view {
        View::Basic => wire::RecordView::Basic,
        View::Masked => wire::RecordView::Masked,
        View::Full => wire::RecordView::Full,
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

fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}
