//! `GetFreeze`.

use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::freezing::find;
use super::{Rpc, encode};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetFreezeRequest>,
) -> Result<Response<wire::Freeze>, Status> {
    let call = Call::of(&request)?;
    let (freeze, currency) = find(rpc, &call, &request.get_ref().name).await?;
    Ok(Response::new(encode::freeze(freeze, currency, rpc.clock.now())))
}
