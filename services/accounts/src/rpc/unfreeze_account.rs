//! `UnfreezeAccount`.

use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::lifting::{Lift, lift};
use super::{Rpc, encode};
use crate::domain::Frozen;

const OPERATION: &str = "unfreeze-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UnfreezeAccountRequest>,
) -> Result<Response<wire::Freeze>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let lifted = lift(rpc, &call, OPERATION, command).await?;
    Ok(lifted.respond(|(freeze, currency)| encode::freeze(freeze, currency, rpc.clock.now())))
}

fn decode(request: wire::UnfreezeAccountRequest) -> Decoded<Lift> {
    let lift = Lift::decode(request.name, request.etag, request.request_id)?;
    match lift.of {
        Frozen::Account(_) => Ok(lift),
        Frozen::Customer(_) => Err(invalid("must be accounts/{uuid}/freezes/{uuid}")).at("name"),
    }
}
