//! `HoldService.GetHold`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::replay::hold;
use super::{Rpc, encode};
use crate::domain::HoldId;
use crate::error::Error;
use crate::store::hold_events;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let id = HoldId::parse_name(&request.get_ref().name).at("name")?;
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let read = move |conn: &mut PgConnection| {
        let hold = hold(conn, tenant, id, now)?;
        Ok::<_, Error>((hold, hold_events::of_hold(conn, tenant, id)?))
    };
    let (hold, events) = rpc.db.read("get_hold", call.scope(), read).await?;
    let events = events.iter().map(|event| encode::hold_event(event, &hold)).collect();
    Ok(Response::new(wire::Hold { events, ..encode::hold(hold, rpc.timeline) }))
}
