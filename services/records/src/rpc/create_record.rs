//! `CreateRecord`.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::lane::Priority;
use shared::outcome::{self, Once};
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::codegen::Bytes;
use tonic::{Request, Response, Status};

use super::content::{self, Checked};
use super::{Rpc, encode, offload};
use crate::domain::access::Action;
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId, RecordState, View};
use crate::domain::subject::SubjectId;
use crate::engine::{Ask, Create, Done, Job, NewContent};
use crate::error::Error;
use crate::seal::{KeyError, SealBroken};
use crate::store::record_index::IndexToken;
use crate::store::{key_chains, record_versions, records, subjects};
use crate::vault::{self, Loose};

const OPERATION: &str = "create-record";
/// The version that a record begins with.
const FIRST_VERSION: i64 = 1;
/// How often the lane is tried: a key that was opened may be closed again before its turn.
const ATTEMPTS: usize = 3;

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
        size: content::size(&record.content).at("record.content")?,
        labels: field::labels(record.labels).at("record.labels")?,
        event_time: record.event_time.map(Timestamp::decode).transpose().at("record.event_time")?,
        content: record.content,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: CreateRecord) -> Result<Created<Record>, Error> {
    let asked = |id| call.request(OPERATION, id, &command, &rpc.clock);
    let request = command.request_id.clone().map(asked).transpose()?;
    let content = command.content.clone();
    let (validate_only, is_chosen) = (command.validate_only, command.id.is_some());
    let mut record = record(rpc, command)?;
    let checked = content::check(rpc, call, &record.kind, &record.content_type, &content).await;
    if let Ok(Checked { kind: Some(kind), .. }) = &checked {
        record.expire_time = kind.expire_time(record.create_time, record.event_time);
    }
    if validate_only {
        checked?;
        check(rpc, call, &record).await?;
        return Ok(Created::Now(record));
    }
    // A refusal waits until the request id has been looked up: a repeat gets its first answer.
    let content_of_record = match checked {
        Ok(checked) => seal(call, &record, &content, checked.tokens).await,
        Err(problem) => Err(problem),
    };
    let mut access = rpc.access(call, Action::CREATE_RECORD);
    (access.subject, access.record) = (Some(record.subject), Some(record.id));
    access.version = Some(record.version);
    let create = Create { record, is_chosen, content: content_of_record, request, access };
    match submit(rpc, call, Arc::new(create)).await? {
        Once::Done(record) => Ok(Created::Now(record)),
        Once::Replayed(name) => {
            let id = RecordId::parse_name(&name)?;
            Ok(Created::Before(repeat(rpc, call, id, content).await?))
        }
    }
}

/// Seals content. It takes no key of the subject: what it is sealed under is wrapped in the lane.
async fn seal(
    call: &Call,
    record: &Record,
    content: &Bytes,
    tokens: Vec<IndexToken>,
) -> Result<NewContent, Problem> {
    let (tenant, about, content) = (call.tenant_id()?, record.clone(), content.clone());
    let sealed = offload(content.len(), move || Loose::seal(tenant, &about, &content)).await?;
    Ok(NewContent { sealed: sealed.map_err(Error::from)?, tokens })
}

/// Has a record created in the lane. Keys that are not open are opened here, where it holds up
/// nobody else.
async fn submit(rpc: &Rpc, call: &Call, create: Arc<Create>) -> Result<Once<Record>, Error> {
    let tenant = call.tenant_id()?;
    let lane = rpc.lanes.of(create.record.subject.uuid());
    for _ in 0..ATTEMPTS {
        let job = Job { tenant, ask: Ask::Create(Arc::clone(&create)) };
        let answer = lane.submit(job, call.deadline, Priority::Normal).await?;
        match answer.inspect_err(|problem| content::overtaken(rpc, call, problem))? {
            Done::NeedsKey(chain) => drop(rpc.vault.subject_key(&chain).await?),
            Done::Replayed(name) => return Ok(Once::Replayed(name)),
            _ => return Ok(Once::Done(create.record.clone())),
        }
    }
    Err(KeyError::Unavailable("keys are closed faster than they are used".to_owned()).into())
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
        version: FIRST_VERSION,
        size: size.map_err(|_| invalid("must be smaller")).at("record.content")?,
        create_time: now,
        update_time: now,
        revision: 1,
        state: RecordState::Active,
        delete_time: None,
        purge_time: None,
        expire_time: None,
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

/// The record that the first request made, if it asked for the same content.
async fn repeat(rpc: &Rpc, call: &Call, id: RecordId, content: Bytes) -> Result<Record, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let (record, _) = records::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        // The first version is what was asked for, whatever came after it.
        let record = record_versions::as_of(conn, tenant, record, FIRST_VERSION)?;
        let record = record.ok_or(SealBroken)?;
        let sealed = records::select_sealed(conn, tenant, id, FIRST_VERSION)?;
        let sealed = sealed.ok_or(SealBroken)?;
        let generation = Some(sealed.subject_key_generation);
        let chain = key_chains::key_chain(conn, tenant, record.subject, generation)?;
        Ok::<_, Error>((record, sealed, chain))
    };
    let (record, sealed, chain) = rpc.db.read("get_record", call.scope(), read).await?;
    // Of what is purged or erased there is nothing left to compare with.
    if let Some(chain) = chain.filter(|_| sealed.commitment_salt.is_some()) {
        let key = rpc.vault.subject_key(&chain).await?;
        let same = record.clone();
        let verify = move || vault::verify(&key, &same, &sealed, &content);
        if offload(usize::try_from(record.size).unwrap_or(usize::MAX), verify).await?.is_err() {
            return Err(outcome::reused(OPERATION).into());
        }
    }
    Ok(record)
}
