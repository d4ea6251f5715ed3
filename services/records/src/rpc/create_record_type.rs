//! `RecordTypeService.CreateRecordType`.

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, get_record_type, record_types, types};
use crate::domain::access::Action;
use crate::domain::record_type::RecordType;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{self, accesses};

const OPERATION: &str = "create-record-type";

struct CreateRecordType {
    kind: RecordType,
    request_id: Option<String>,
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateRecordTypeRequest>,
) -> Result<Response<wire::RecordType>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner(), rpc.clock.now())?;
    Ok(handle(rpc, &call, command).await?.respond(record_types::encode))
}

fn decode(request: wire::CreateRecordTypeRequest, now: Timestamp) -> Decoded<CreateRecordType> {
    let kind = field::required(request.record_type).at("record_type")?;
    let id = record_types::id(request.record_type_id).at("record_type_id")?;
    Ok(CreateRecordType {
        kind: record_types::decode(kind, id, now).at("record_type")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: CreateRecordType,
) -> Result<Created<RecordType>, Error> {
    let (kind, tenant) = (command.kind, call.tenant_id()?);
    let asked = |id| call.request(OPERATION, id, &record_types::declared(&kind), &rpc.clock);
    let asked = command.request_id.map(asked).transpose()?;
    let (kind, compiled) = types::check(kind).await?;
    compiled.map_err(Box::new).at("record_type")?;
    if command.validate_only {
        let checked = kind.clone();
        let read = move |conn: &mut PgConnection| match store::record_types::revision(
            conn, tenant, &kind.id,
        )? {
            Some(_) => Err(taken(&kind.id)),
            None => Ok(()),
        };
        rpc.db.read("check_record_type", call.scope(), read).await?;
        return Ok(Created::Now(checked));
    }
    let name = record_types::name(&kind.id);
    let mut access = rpc.access(call, Action::CREATE_RECORD_TYPE);
    access.resource = Some(name.clone());
    let (id, resource) = (kind.id.clone(), name.clone());
    let act = move |conn: &mut PgConnection| {
        if !store::record_types::insert(conn, tenant, &kind)? {
            return Err(taken(&kind.id));
        }
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "recordType.created", name.clone(), kind.create_time);
        events::record(conn, tenant, &event)?;
        Ok(kind.clone())
    };
    match rpc.once(call, "create_record_type", asked, resource, act).await? {
        Once::Done(kind) => {
            rpc.types.forget(tenant, &id);
            Ok(Created::Now(kind))
        }
        Once::Replayed(_) => Ok(Created::Before(get_record_type::find(rpc, call, id).await?)),
    }
}

fn taken(id: &str) -> Error {
    let name = record_types::name(id);
    let problem = Problem::new(Reason::IdTaken, format!("{name} is in use."));
    Error::Problem(problem.figure("name", name))
}
