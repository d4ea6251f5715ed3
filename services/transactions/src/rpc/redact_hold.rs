//! `HoldService.RedactHold`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, replay};
use crate::domain::{HOLD_REDACTED, HoldId, Redaction};
use crate::error::Error;
use crate::store::redactions;

const OPERATION: &str = "redact-hold";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RedactHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let redact = decode(request.into_inner())?;
    Ok(handle(rpc, &call, redact).await?)
}

#[derive(Serialize)]
struct Redact {
    id: HoldId,
    reason_code: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::RedactHoldRequest) -> Decoded<Redact> {
    Ok(Redact {
        id: HoldId::parse_name(&request.name).at("name")?,
        reason_code: field::code(request.reason_code).at("reason_code")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, redact: Redact) -> Result<Response<wire::Hold>, Problem> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), redact.id);
    let read = async || {
        let get = move |conn: &mut PgConnection| replay::hold(conn, tenant, id, now);
        rpc.db
            .read("get_hold", call.scope(), get)
            .await
            .map(|hold| encode::hold(hold, rpc.timeline))
    };
    if redact.validate_only {
        return Ok(Response::new(read().await?));
    }
    let request = |id| call.request(OPERATION, id, &redact, &rpc.clock);
    let request = redact.request_id.clone().map(request).transpose()?;
    let principal = call.principal.subject.clone();
    let reason_code = redact.reason_code;
    let write = move |conn: &mut PgConnection| {
        let had_texts = redactions::redact_hold(conn, tenant, id)?;
        let hold = replay::hold(conn, tenant, id, now)?;
        if had_texts {
            let redaction = Redaction {
                kind: HOLD_REDACTED,
                subject: id.name(),
                reason_code: &reason_code,
                principal: &principal,
                time: now.max(hold.record_time.next()),
            };
            redactions::record(conn, tenant, &redaction)?;
        }
        Ok::<_, Error>(hold)
    };
    let done = once(&rpc.db, "redact_hold", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(hold) => Ok(Response::new(encode::hold(hold, rpc.timeline))),
        Once::Replayed(_) => Ok(replayed(read().await?)),
    }
}
