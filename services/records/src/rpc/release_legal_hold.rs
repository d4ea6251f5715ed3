//! `GovernanceService.ReleaseLegalHold`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance, place_legal_hold};
use crate::domain::access::Action;
use crate::domain::legal_hold::{HoldState, LegalHold, LegalHoldId};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, erasures, legal_holds, subjects};

const OPERATION: &str = "release-legal-hold";

#[derive(Serialize)]
struct ReleaseLegalHold {
    id: LegalHoldId,
    /// The same request by another principal is another one.
    principal: String,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReleaseLegalHoldRequest>,
) -> Result<Response<wire::LegalHold>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), &call)?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::legal_hold))
}

fn decode(request: wire::ReleaseLegalHoldRequest, call: &Call) -> Decoded<ReleaseLegalHold> {
    Ok(ReleaseLegalHold {
        id: LegalHoldId::parse_name(&request.name).at("name")?,
        principal: call.principal.subject.clone(),
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: ReleaseLegalHold,
) -> Result<Created<LegalHold>, Error> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), asked.id);
    let request = |request_id| call.request(OPERATION, request_id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let mut access = rpc.access(call, Action::RELEASE_LEGAL_HOLD);
    access.resource = Some(id.name());
    let act = move |conn: &mut PgConnection| {
        let found = legal_holds::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        subjects::lock(conn, tenant, found.subject)?;
        let mut hold = legal_holds::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        hold.release(&asked.principal, now)?;
        legal_holds::update(conn, tenant, &hold)?;
        let mut access = access.clone();
        (access.subject, access.record) = (Some(hold.subject), hold.record);
        accesses::insert(conn, tenant, &access)?;
        let kind = match hold.state {
            HoldState::Released => "legalHold.released",
            HoldState::Active | HoldState::ReleaseRequested => "legalHold.releaseRequested",
        };
        let event = Event::new(tenant, kind, id.name(), now)
            .with("subject", hold.subject.name())
            .with("target", hold.target());
        events::record(conn, tenant, &event)?;
        let freed = hold.state == HoldState::Released;
        let woken = freed && erasures::wake(conn, tenant, hold.subject, now)?;
        Ok((hold, woken))
    };
    match rpc.once(call, "release_legal_hold", request, id.name(), act).await? {
        Once::Done((hold, woken)) => {
            if woken {
                rpc.sweep.notify_one();
            }
            Ok(Created::Now(hold))
        }
        Once::Replayed(_) => Ok(Created::Before(place_legal_hold::find(rpc, call, id).await?)),
    }
}
