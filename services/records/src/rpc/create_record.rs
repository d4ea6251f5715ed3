//! `CreateRecord`.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::{self, Once};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::codegen::Bytes;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, offload};
use crate::domain::access::Action;
use crate::domain::content_type::ContentType;
use crate::domain::json;
use crate::domain::record::{CONTENT_MAX, Record, RecordId, View};
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::seal::SealBroken;
use crate::store::records::Sealed;
use crate::store::{accesses, keys, records, subjects};
use crate::vault;

const OPERATION: &str = "create-record";

/// What is asked for. The hash of a request takes in what is serialised. The content is not:
/// whoever reads the hash and its key could guess at it. A repeat is compared with the commitment
/// instead.
#[derive(Serialize)]
struct CreateRecord {
    id: Option<RecordId>,
    subject: SubjectId,
    kind: String,
    content_type: ContentType,
    size: usize,
    labels: BTreeMap<String, String>,
    event_time: Option<Timestamp>,
    #[serde(skip)]
    content: Bytes,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    check_content(&command).await?;
    let created = handle(rpc, &call, command).await?;
    Ok(created.respond(|record| encode::record(record, View::Basic, Vec::new())))
}

fn decode(request: wire::CreateRecordRequest) -> Decoded<CreateRecord> {
    let record = field::required(request.record).at("record")?;
    Ok(CreateRecord {
        id: RecordId::parse_chosen(&request.record_id).at("record_id")?,
        subject: SubjectId::parse_name(&record.subject).at("record.subject")?,
        kind: field::kebab(record.r#type, 64).at("record.type")?,
        content_type: ContentType::parse(&record.content_type).at("record.content_type")?,
        size: size(&record.content).at("record.content")?,
        labels: field::labels(record.labels).at("record.labels")?,
        event_time: record.event_time.map(Timestamp::decode).transpose().at("record.event_time")?,
        content: record.content,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

fn size(content: &Bytes) -> Decoded<usize> {
    match content.len() {
        0 => Err(invalid("must not be empty")),
        size if size > CONTENT_MAX => {
            Err(invalid(format!("must be at most {CONTENT_MAX} bytes, and has {size}")))
        }
        size => Ok(size),
    }
}

/// Content that says it is JSON has to be.
async fn check_content(command: &CreateRecord) -> Result<(), Problem> {
    if !command.content_type.is_json() {
        return Ok(());
    }
    let content = command.content.clone();
    let checked = offload(content.len(), move || json::check(&content)).await?;
    checked.map_err(|error| invalid(error.to_string())).at("record.content")?;
    Ok(())
}

async fn handle(rpc: &Rpc, call: &Call, command: CreateRecord) -> Result<Created<Record>, Error> {
    let asked = |id| call.request(OPERATION, id, &command, &rpc.clock);
    let asked = command.request_id.clone().map(asked).transpose()?;
    let content = command.content.clone();
    let (validate_only, record) = (command.validate_only, record(rpc, command)?);
    if validate_only {
        check(rpc, call, &record).await?;
        return Ok(Created::Now(record));
    }
    // A refusal waits until the request id has been looked up: a repeat gets its first answer.
    let sealed = seal(rpc, call, &record, content.clone()).await;
    let sealed = sealed.map(Arc::new).map_err(Problem::from);
    let mut access = rpc.access(call, Action::CreateRecord);
    (access.subject, access.record) = (Some(record.subject), Some(record.id));
    access.version = Some(record.version);
    let (tenant, id) = (call.tenant_id()?, record.id);
    let act = move |conn: &mut PgConnection| {
        let sealed = sealed.clone()?;
        let state = subjects::lock_state(conn, tenant, record.subject)?;
        let state = state.ok_or_else(|| record.subject.not_found())?;
        state.allow_write(record.subject)?;
        if !records::insert(conn, tenant, &record, &sealed)? {
            return Err(Error::IdTaken(record.id));
        }
        accesses::insert(conn, tenant, &access)?;
        Ok(record.clone())
    };
    match outcome::once(&rpc.db, "create_record", call.scope(), asked, id.name(), act).await? {
        Once::Done(record) => Ok(Created::Now(record)),
        Once::Replayed(name) => {
            let id = RecordId::parse_name(&name)?;
            Ok(Created::Before(repeat(rpc, call, id, content).await?))
        }
    }
}

fn record(rpc: &Rpc, command: CreateRecord) -> Result<Record, Error> {
    let now = rpc.clock.now();
    let size = i64::try_from(command.size);
    Ok(Record {
        id: command.id.unwrap_or_else(RecordId::generate),
        subject: command.subject,
        kind: command.kind,
        content_type: command.content_type,
        labels: command.labels,
        event_time: command.event_time,
        version: 1,
        size: size.map_err(|_| invalid("must be smaller")).at("record.content")?,
        create_time: now,
        update_time: now,
        revision: 1,
    })
}

/// Whether the record could be sealed: there is a subject that allows it, and the id is free.
async fn check(rpc: &Rpc, call: &Call, record: &Record) -> Result<(), Error> {
    let (tenant, id, subject) = (call.tenant_id()?, record.id, record.subject);
    let read = move |conn: &mut PgConnection| {
        let found = subjects::select(conn, tenant, subject)?;
        let found = found.ok_or_else(|| subject.not_found())?;
        found.state.allow_write(subject)?;
        if records::exists(conn, tenant, id)? { Err(Error::IdTaken(id)) } else { Ok(()) }
    };
    rpc.db.read("check_record", call.scope(), read).await
}

async fn seal(rpc: &Rpc, call: &Call, record: &Record, content: Bytes) -> Result<Sealed, Error> {
    let (tenant, subject) = (call.tenant_id()?, record.subject);
    let read = move |conn: &mut PgConnection| {
        let found = subjects::select(conn, tenant, subject)?;
        let found = found.ok_or_else(|| subject.not_found())?;
        found.state.allow_write(subject)?;
        Ok::<_, Error>(keys::key_chain(conn, tenant, subject, None)?)
    };
    let chain = rpc.db.read("get_subject_key", call.scope(), read).await?;
    let key = rpc.vault.subject_key(&chain.ok_or(SealBroken)?).await?;
    let record = record.clone();
    offload(content.len(), move || vault::seal(&key, &record, &content)).await?
}

/// The record that the first request made, if it asked for the same content.
async fn repeat(rpc: &Rpc, call: &Call, id: RecordId, content: Bytes) -> Result<Record, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = records::select(conn, tenant, id)?;
        let (mut record, _) = found.ok_or_else(|| id.not_found())?;
        // The first version is what was asked for, whatever came after it.
        record.version = 1;
        let sealed = records::select_sealed(conn, tenant, id, record.version)?;
        let sealed = sealed.ok_or(SealBroken)?;
        let generation = Some(sealed.subject_key_generation);
        let chain = keys::key_chain(conn, tenant, record.subject, generation)?;
        Ok::<_, Error>((record, sealed, chain))
    };
    let (record, sealed, chain) = rpc.db.read("get_record", call.scope(), read).await?;
    // Of an erased subject there is nothing left to compare with.
    if let Some(chain) = chain {
        let key = rpc.vault.subject_key(&chain).await?;
        let same = record.clone();
        let verify = move || vault::verify(&key, &same, &sealed, &content);
        if offload(usize::try_from(record.size).unwrap_or(usize::MAX), verify).await?.is_err() {
            let message = "The request_id was used for another request.";
            let problem = Problem::new(Reason::RequestIdReused, message);
            return Err(problem.figure("operation", OPERATION).into());
        }
    }
    Ok(record)
}
