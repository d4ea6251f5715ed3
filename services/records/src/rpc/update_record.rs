//! `RecordService.UpdateRecord`.

mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::mask::Mask;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::codegen::Bytes;
use tonic::{Request, Response, Status};

use super::content::{self, size};
use super::{Rpc, encode};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId};
use crate::domain::record_type::CompiledType;
use crate::domain::subject::SubjectState;
use crate::error::Error;

const OPERATION: &str = "update-record";
/// What a mask may name.
const FIELDS: [&str; 4] = [CONTENT, CONTENT_TYPE, LABELS, EVENT_TIME];
const CONTENT: &str = "content";
const CONTENT_TYPE: &str = "content_type";
const LABELS: &str = "labels";
const EVENT_TIME: &str = "event_time";
/// How often an update that another one overtook is made anew.
const TRIES: u8 = 3;

/// What is asked for. As with a new record, the content is not in the hash.
#[derive(Serialize)]
struct UpdateRecord {
    id: RecordId,
    /// The fields that are taken over.
    fields: Vec<&'static str>,
    subject: String,
    kind: String,
    content_type: Option<ContentType>,
    size: usize,
    labels: BTreeMap<String, String>,
    event_time: Option<Timestamp>,
    etag: String,
    #[serde(skip)]
    content: Bytes,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdateRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let command = Arc::new(decode(request.into_inner())?);
    Ok(handle(rpc, &call, &command).await?.respond(encode::basic))
}

fn decode(request: wire::UpdateRecordRequest) -> Decoded<UpdateRecord> {
    let record = field::required(request.record).at("record")?;
    let paths = request.update_mask.unwrap_or_default().paths;
    let mask = Mask::decode(&paths, &FIELDS).at("update_mask")?;
    let fields = mask.fields(|field| match field {
        CONTENT => !record.content.is_empty(),
        CONTENT_TYPE => false,
        LABELS => !record.labels.is_empty(),
        _ => record.event_time.is_some(),
    });
    let fields = fields.at("update_mask")?;
    let has_content = fields.contains(&CONTENT);
    if fields.contains(&CONTENT_TYPE) && !has_content {
        return Err(invalid("must name content where it names content_type")).at("update_mask");
    }
    let content_type = Some(record.content_type).filter(|text| !text.is_empty());
    let content_type = content_type.as_deref().map(ContentType::parse).transpose();
    let event_time = record.event_time.map(Timestamp::decode).transpose();
    let size = if has_content { size(&record.content).at("record.content")? } else { 0 };
    Ok(UpdateRecord {
        id: RecordId::parse_name(&record.name).at("record.name")?,
        fields,
        subject: record.subject,
        kind: record.r#type,
        content_type: content_type.at("record.content_type")?,
        size,
        labels: field::labels(record.labels).at("record.labels")?,
        event_time: event_time.at("record.event_time")?,
        etag: record.etag,
        content: record.content,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

impl UpdateRecord {
    fn takes(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }

    /// The record as it shall be, with the size and type of its next version where there is one.
    fn apply(
        &self,
        old: &Record,
        subject: SubjectState,
        kind: Option<&CompiledType>,
        now: Timestamp,
    ) -> Result<Record, Problem> {
        subject.allow_write(old.subject)?;
        encode::check_etag(&self.etag, old.revision, &old.id.name())?;
        old.allow_change()?;
        self.check_constant(old)?;
        let mut new = old.clone().changed();
        if self.takes(CONTENT) {
            new.version += 1;
            new.update_time = now;
            new.size = i64::try_from(self.size).unwrap_or(i64::MAX);
            new.content_type = self.content_type.clone().unwrap_or(new.content_type);
        }
        if self.takes(LABELS) {
            new.labels.clone_from(&self.labels);
        }
        if self.takes(EVENT_TIME) {
            new.event_time = self.event_time;
            let retained = kind.filter(|kind| kind.retains_from_event());
            if let Some(kind) = retained {
                new.expire_time = kind.expire_time(new.create_time, new.event_time);
            }
        }
        Ok(new)
    }

    /// What never changes may be sent as it is.
    fn check_constant(&self, old: &Record) -> Result<(), Problem> {
        let is_same = |sent: &str, old: &str| sent.is_empty() || sent == old;
        let refused = |field: &str, sentence: &str| Err(invalid(sentence).in_field(field));
        if !is_same(&self.subject, &old.subject.name()) {
            return refused("record.subject", "cannot be changed");
        }
        if !is_same(&self.kind, &old.kind) {
            return refused("record.type", "cannot be changed");
        }
        let differs = self.content_type.as_ref().is_some_and(|sent| *sent != old.content_type);
        if differs && !self.takes(CONTENT) {
            return refused("record.content_type", "can be changed together with the content only");
        }
        Ok(())
    }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: &Arc<UpdateRecord>,
) -> Result<Created<Record>, Error> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match write::update(rpc, call, command).await {
            Err(problem) if problem.reason == Reason::Contention && tries > 0 => {
                content::overtaken(rpc, call, &problem);
            }
            done => return Ok(done?),
        }
    }
}
