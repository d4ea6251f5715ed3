//! `SubjectService.ApproveErasure`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::erasures::{self as shown, Shown};
use super::{Rpc, governance};
use crate::domain::access::{Access, Action};
use crate::domain::erasure::ErasureName;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, erasures, subjects};

const OPERATION: &str = "approve-erasure";

#[derive(Serialize)]
struct ApproveErasure {
    name: ErasureName,
    principal: String,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ApproveErasureRequest>,
) -> Result<Response<wire::Erasure>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), &call)?;
    let mut access = rpc.access(&call, Action::APPROVE_ERASURE);
    (access.subject, access.resource) = (Some(asked.name.subject), Some(asked.name.name()));
    let answer = handle(rpc, &call, asked, access.clone()).await.map_err(Problem::from);
    Ok(governance::audited(rpc, &call, access, answer).await?.respond(shown::shown))
}

fn decode(request: wire::ApproveErasureRequest, call: &Call) -> Decoded<ApproveErasure> {
    Ok(ApproveErasure {
        name: ErasureName::parse(&request.name).at("name")?,
        principal: call.principal.subject.clone(),
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: ApproveErasure,
    access: Access,
) -> Result<Created<Shown>, Error> {
    let (tenant, now, name) = (call.tenant_id()?, rpc.clock.now(), asked.name);
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let act = move |conn: &mut PgConnection| {
        subjects::lock(conn, tenant, name.subject)?.ok_or_else(|| name.not_found())?;
        let erasure = erasures::lock(conn, tenant, name)?;
        let mut erasure = erasure.ok_or_else(|| name.not_found())?;
        erasure.approve(&asked.principal, now)?;
        erasures::update(conn, tenant, &erasure)?;
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "erasure.approved", name.name(), now);
        events::record(conn, tenant, &event.with("subject", name.subject.name()))?;
        shown::show(conn, tenant, None, erasure, now)
    };
    match rpc.once(call, "approve_erasure", request, name.name(), act).await? {
        Once::Done(shown) => {
            rpc.sweep.notify_one();
            Ok(Created::Now(shown))
        }
        Once::Replayed(_) => Ok(Created::Before(shown::find(rpc, call, name).await?)),
    }
}
