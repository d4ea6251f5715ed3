//! The header of an upload, decoded.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use crate::domain::content_type::ContentType;
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;
use crate::domain::upload::UploadId;

/// The header.
pub(super) struct Command {
    /// Under which request id.
    pub(super) id: UploadId,
    /// Where the frames begin in the content.
    pub(super) offset: u64,
    /// What is asked for; none where that was said before.
    pub(super) asked: Option<Asked>,
}

/// What is asked for. The hash of a request takes in all of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Asked {
    /// The media type of the content.
    pub(super) content_type: ContentType,
    /// What it becomes.
    pub(super) target: Target,
}

/// What content becomes.
#[derive(Debug, Clone, Serialize)]
pub(super) enum Target {
    /// A new record.
    New {
        id: Option<RecordId>,
        subject: SubjectId,
        kind: String,
        labels: BTreeMap<String, String>,
        event_time: Option<Timestamp>,
    },
    /// The next version of a record.
    Version { id: RecordId, etag: String },
}

pub(super) fn decode(header: wire::UploadHeader) -> Decoded<Command> {
    let id = field::required_request_id(header.request_id).at("header.request_id")?;
    let id = UploadId::parse_chosen(&id).at("header.request_id")?;
    let offset = u64::try_from(header.offset);
    let offset = offset.map_err(|_| invalid("must not be below 0")).at("header.offset")?;
    let asked = header.record.map(|record| asked(record, &header.record_id)).transpose()?;
    // It is not empty: that was refused above.
    Ok(Command { id: id.unwrap_or_else(UploadId::generate), offset, asked })
}

fn asked(record: wire::Record, record_id: &str) -> Decoded<Asked> {
    if !record.content.is_empty() {
        let sentence = "must be empty: it comes in the frames that follow";
        return Err(invalid(sentence)).at("header.record.content");
    }
    let content_type = ContentType::parse(&record.content_type).at("header.record.content_type")?;
    let target = if record.name.is_empty() {
        Target::New {
            id: RecordId::parse_chosen(record_id).at("header.record_id")?,
            subject: SubjectId::parse_name(&record.subject).at("header.record.subject")?,
            kind: field::kebab(record.r#type, 64).at("header.record.type")?,
            labels: field::labels(record.labels).at("header.record.labels")?,
            event_time: record
                .event_time
                .map(Timestamp::decode)
                .transpose()
                .at("header.record.event_time")?,
        }
    } else if record_id.is_empty() {
        let id = RecordId::parse_name(&record.name).at("header.record.name")?;
        Target::Version { id, etag: record.etag }
    } else {
        return Err(invalid("must be empty where the record has a name")).at("header.record_id");
    };
    Ok(Asked { content_type, target })
}
