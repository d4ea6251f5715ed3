//! `FreezeAccount`.

use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::freezing::{Order, order};
use super::{Rpc, encode};
use crate::domain::{AccountId, Frozen};

const OPERATION: &str = "freeze-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::FreezeAccountRequest>,
) -> Result<Response<wire::Freeze>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let ordered = order(rpc, &call, OPERATION, command).await?;
    Ok(ordered.respond(|(freeze, currency)| encode::freeze(freeze, currency, rpc.clock.now())))
}

fn decode(request: wire::FreezeAccountRequest) -> Decoded<Order> {
    let of = Frozen::Account(AccountId::parse_name(&request.parent).at("parent")?);
    let (id, request_id) = (&request.freeze_id, request.request_id);
    Order::decode(of, id, request.freeze, request_id, request.validate_only)
}
