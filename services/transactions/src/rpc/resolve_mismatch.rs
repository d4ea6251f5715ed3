//! `BooksService.ResolveMismatch`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{Mismatch, MismatchId, Resolution};
use crate::error::Error;
use crate::store::mismatches;
use crate::verifier;

const OPERATION: &str = "resolve-mismatch";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ResolveMismatchRequest>,
) -> Result<Response<wire::Mismatch>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?)
}

#[derive(Serialize)]
struct Resolve {
    id: MismatchId,
    code: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::ResolveMismatchRequest) -> Decoded<Resolve> {
    Ok(Resolve {
        id: MismatchId::parse_name(&request.name).at("name")?,
        code: field::code(request.resolution_code).at("resolution_code")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: Resolve,
) -> Result<Response<wire::Mismatch>, Problem> {
    let (tenant, id) = (call.tenant_id()?, asked.id);
    let resolution = Resolution {
        time: rpc.clock.now(),
        code: asked.code.clone(),
        resolver: call.principal.subject.clone(),
    };
    if asked.validate_only {
        let mut found = find(rpc, call, id).await?;
        found.resolution.get_or_insert(resolution);
        return Ok(Response::new(encode::mismatch(found)));
    }
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let write = move |conn: &mut PgConnection| verifier::resolve(conn, tenant, id, &resolution);
    let done = once(&rpc.db, "resolve_mismatch", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(resolved) => Ok(Response::new(encode::mismatch(resolved))),
        Once::Replayed(_) => Ok(replayed(encode::mismatch(find(rpc, call, id).await?))),
    }
}

async fn find(rpc: &Rpc, call: &Call, id: MismatchId) -> Result<Mismatch, Problem> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(mismatches::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    Ok(rpc.db.read("get_mismatch", call.scope(), read).await?)
}
