//! `GovernanceService.ReviewBreakGlass`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance, open_break_glass};
use crate::domain::access::Action;
use crate::domain::break_glass::{Lease, LeaseId, Verdict};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, break_glass_leases};

const OPERATION: &str = "review-break-glass";

#[derive(Serialize)]
struct ReviewBreakGlass {
    id: LeaseId,
    principal: String,
    verdict: Verdict,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReviewBreakGlassRequest>,
) -> Result<Response<wire::BreakGlassLease>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), &call)?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::lease))
}

fn decode(request: wire::ReviewBreakGlassRequest, call: &Call) -> Decoded<ReviewBreakGlass> {
    use wire::break_glass_lease::Verdict as Told;
    let verdict = match request.verdict() {
        Told::Justified => Ok(Verdict::Justified),
        Told::Unjustified => Ok(Verdict::Unjustified),
        Told::Unspecified => Err(invalid("must be JUSTIFIED or UNJUSTIFIED")),
    };
    Ok(ReviewBreakGlass {
        id: LeaseId::parse_name(&request.name).at("name")?,
        principal: call.principal.subject.clone(),
        verdict: verdict.at("verdict")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(rpc: &Rpc, call: &Call, asked: ReviewBreakGlass) -> Result<Created<Lease>, Error> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), asked.id);
    let request = |request_id| call.request(OPERATION, request_id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let mut access = rpc.access(call, Action::REVIEW_BREAK_GLASS);
    access.resource = Some(id.name());
    let act = move |conn: &mut PgConnection| {
        let lease = break_glass_leases::lock(conn, tenant, id)?;
        let mut lease = lease.ok_or_else(|| id.not_found())?;
        lease.review(&asked.principal, asked.verdict, now)?;
        break_glass_leases::update(conn, tenant, &lease)?;
        let mut access = access.clone();
        access.subject = Some(lease.subject);
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "breakGlass.reviewed", id.name(), now)
            .with("subject", lease.subject.name())
            .with("verdict", asked.verdict.name());
        events::record(conn, tenant, &event)?;
        Ok(lease)
    };
    match rpc.once(call, "review_break_glass", request, id.name(), act).await? {
        Once::Done(lease) => Ok(Created::Now(lease)),
        Once::Replayed(_) => Ok(Created::Before(open_break_glass::find(rpc, call, id).await?)),
    }
}
