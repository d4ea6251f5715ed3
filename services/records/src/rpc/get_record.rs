//! `GetRecord`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::principal::{Scope, missing};
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, offload};
use crate::domain::access::{Access, Action, Reading};
use crate::domain::json;
use crate::domain::purpose::Purpose;
use crate::domain::record::{Record, RecordId, View};
use crate::domain::subject::SubjectState;
use crate::error::Error;
use crate::seal::SealBroken;
use crate::store::keys::KeyChain;
use crate::store::records::Sealed;
use crate::store::{accesses, keys, records};
use crate::vault;

/// What a caller needs beside `records.records.get` to see content as it is.
const FULL_PERMISSION: &str = "records.records.getFull";

struct GetRecord {
    id: RecordId,
    view: View,
    purpose: String,
}

/// A record as it lies in the store, with its sealed content where that is going to be opened.
struct Found {
    record: Record,
    state: SubjectState,
    sealed: Option<(Sealed, Option<KeyChain>)>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let view = command.view;
    let (record, content) = handle(rpc, &call, command).await?;
    Ok(Response::new(encode::record(record, view, content)))
}

fn decode(request: wire::GetRecordRequest) -> Decoded<GetRecord> {
    let view = match wire::RecordView::try_from(request.view) {
        Ok(wire::RecordView::Basic) => View::Basic,
        Ok(wire::RecordView::Unspecified | wire::RecordView::Masked) => View::Masked,
        Ok(wire::RecordView::Full) => View::Full,
        Err(_) => return Err(invalid("must be BASIC, MASKED or FULL")).at("view"),
    };
    let id = RecordId::parse_name(&request.name).at("name")?;
    Ok(GetRecord { id, view, purpose: request.purpose })
}

/// Decides, opens, logs, and only then answers: where the log cannot be written nothing leaves.
async fn handle(rpc: &Rpc, call: &Call, command: GetRecord) -> Result<(Record, Vec<u8>), Problem> {
    let reading = Reading {
        view: command.view,
        purpose: Purpose::parse(&command.purpose),
        full: may_read_full(call),
    };
    let mut access = rpc.access(call, Action::GetRecord);
    access.record = Some(command.id);
    access.view = Some(command.view);
    access.purpose = reading.purpose.as_ref().ok().copied();
    let answer = read(rpc, call, command.id, reading, &mut access).await.map_err(Problem::from);
    access.refusal = answer.as_ref().err().map(|problem| problem.reason);
    log(rpc, call, access).await?;
    answer
}

fn may_read_full(call: &Call) -> Result<(), Problem> {
    match call.principal.require(FULL_PERMISSION)? {
        Scope::Tenant => Ok(()),
        Scope::Own => Err(missing(FULL_PERMISSION)),
    }
}

async fn read(
    rpc: &Rpc,
    call: &Call,
    id: RecordId,
    reading: Reading,
    access: &mut Access,
) -> Result<(Record, Vec<u8>), Error> {
    let view = reading.view;
    let decision = reading.clone();
    let Found { record, state, sealed } = find(rpc, call, id, reading).await?;
    access.subject = Some(record.subject);
    access.version = Some(record.version);
    decision.decide(record.subject, state)?;
    let Some((sealed, chain)) = sealed else {
        return Ok((record, Vec::new()));
    };
    let key = rpc.vault.subject_key(&chain.ok_or(SealBroken)?).await?;
    let (about, size) = (record.clone(), sealed.body.len());
    let content = offload(size, move || {
        let mut content = vault::open(&key, &about, &sealed)?;
        match view {
            View::Basic => Ok(Vec::new()),
            // What was sealed as JSON is JSON, or it is not what was sealed.
            View::Masked => Ok(json::mask(&content).map_err(|_| SealBroken)?),
            View::Full => Ok::<_, Error>(std::mem::take(&mut *content)),
        }
    });
    Ok((record, content.await??))
}

/// Reads the record, and its sealed content only where the reader may have it.
async fn find(rpc: &Rpc, call: &Call, id: RecordId, reading: Reading) -> Result<Found, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = records::select(conn, tenant, id)?;
        let (record, state) = found.ok_or_else(|| id.not_found())?;
        let shows_content = match reading.view {
            View::Basic => false,
            View::Masked => record.content_type.is_json(),
            View::Full => true,
        };
        if !shows_content || reading.decide(record.subject, state).is_err() {
            return Ok(Found { record, state, sealed: None });
        }
        let sealed = records::select_sealed(conn, tenant, id, record.version)?;
        let sealed = sealed.ok_or(SealBroken)?;
        let generation = Some(sealed.subject_key_generation);
        let chain = keys::key_chain(conn, tenant, record.subject, generation)?;
        Ok(Found { record, state, sealed: Some((sealed, chain)) })
    };
    rpc.db.read("get_record", call.scope(), read).await
}

async fn log(rpc: &Rpc, call: &Call, access: Access) -> Result<(), Error> {
    let tenant = call.tenant_id()?;
    let append =
        move |conn: &mut PgConnection| Ok::<_, Error>(accesses::insert(conn, tenant, &access)?);
    rpc.db.write("log_access", call.scope(), append).await
}
