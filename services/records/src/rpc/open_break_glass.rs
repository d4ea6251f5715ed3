//! `GovernanceService.OpenBreakGlass`.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::{self, Once};
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance};
use crate::domain::access::{Access, Action};
use crate::domain::break_glass::{
    DURATION, DURATION_MAX, Lease, LeaseId, REVIEW_WITHIN, unreviewed,
};
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, break_glass_leases, policies};

const OPERATION: &str = "open-break-glass";

/// The reason may tell of the person, so it is not in the hash: a repeat is compared with what is
/// stored instead.
#[derive(Serialize)]
struct OpenBreakGlass {
    subject: SubjectId,
    principal: String,
    reason_code: String,
    #[serde(skip)]
    reason: String,
    duration: Duration,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::OpenBreakGlassRequest>,
) -> Result<Response<wire::BreakGlassLease>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), &call)?;
    let id = LeaseId::generate();
    let mut access = rpc.access(&call, Action::OPEN_BREAK_GLASS);
    (access.subject, access.resource) = (Some(asked.subject), Some(id.name()));
    let opened = handle(rpc, &call, asked, id, access.clone()).await.map_err(Problem::from);
    let opened = governance::audited(rpc, &call, access, opened).await?;
    Ok(opened.respond(governance::lease))
}

fn decode(request: wire::OpenBreakGlassRequest, call: &Call) -> Decoded<OpenBreakGlass> {
    let lease = field::required(request.lease).at("lease")?;
    let read = |duration| governance::seconds(duration, DURATION_MAX);
    let duration = lease.duration.map_or(Ok(DURATION), read).and_then(|duration| {
        if duration.is_zero() { Err(invalid("must be longer")) } else { Ok(duration) }
    });
    Ok(OpenBreakGlass {
        subject: SubjectId::parse_name(&lease.subject).at("lease.subject")?,
        principal: call.principal.subject.clone(),
        reason_code: field::kebab(lease.reason_code, 64).at("lease.reason_code")?,
        reason: field::text(lease.reason, 1, 500).at("lease.reason")?,
        duration: duration.at("lease.duration")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: OpenBreakGlass,
    id: LeaseId,
    access: Access,
) -> Result<Created<Lease>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let lease = Lease {
        id,
        subject: asked.subject,
        principal: asked.principal,
        reason_code: asked.reason_code,
        reason: Some(asked.reason.clone()),
        create_time: now,
        end_time: now.plus(asked.duration),
        review_due_time: now.plus(REVIEW_WITHIN),
        verdict: None,
        reviewer: None,
        review_time: None,
        revision: 1,
    };
    let act = move |conn: &mut PgConnection| {
        governance::lock_subject(conn, tenant, lease.subject)?;
        if policies::get(conn, tenant)?.break_glass_blocks
            && let Some(late) = break_glass_leases::late_of(conn, tenant, &lease.principal, now)?
        {
            return Err(unreviewed(late).into());
        }
        break_glass_leases::insert(conn, tenant, &lease)?;
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "breakGlass.opened", id.name(), now)
            .with("subject", lease.subject.name())
            .with("reasonCode", lease.reason_code.as_str())
            .with("endTime", lease.end_time.to_string())
            .with("reviewDueTime", lease.review_due_time.to_string());
        events::record(conn, tenant, &event)?;
        Ok(lease.clone())
    };
    match rpc.once(call, "open_break_glass", request, id.name(), act).await? {
        Once::Done(lease) => Ok(Created::Now(lease)),
        Once::Replayed(name) => {
            let lease = find(rpc, call, LeaseId::parse_name(&name)?).await?;
            match lease.reason.clone().is_none_or(|reason| reason == asked.reason) {
                true => Ok(Created::Before(lease)),
                false => Err(outcome::reused(OPERATION).into()),
            }
        }
    }
}

/// Reads a lease.
pub(super) async fn find(rpc: &Rpc, call: &Call, id: LeaseId) -> Result<Lease, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = break_glass_leases::select(conn, tenant, id)?;
        Ok::<_, Error>(found.ok_or_else(|| id.not_found())?)
    };
    rpc.db.read("get_break_glass", call.scope(), read).await
}
