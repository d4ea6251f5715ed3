//! `HoldService.ExtendHold`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::lane::Priority;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::orders::{Asked, Method, submit};
use super::{Rpc, draft, encode};
use crate::domain::{Extend, HoldId, Order};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ExtendHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(encode::held(submit(rpc, &call, asked).await?, rpc.timeline)?)
}

fn decode(request: wire::ExtendHoldRequest) -> Decoded<Asked> {
    let hold = HoldId::parse_name(&request.name).at("name")?;
    let expire_time = draft::time(request.expire_time).at("expire_time")?;
    let order = Order::Extend(Extend { hold, expire_time });
    let request_id = field::required_request_id(request.request_id).at("request_id")?;
    let validate_only = request.validate_only;
    Ok(Asked::one(Method::ExtendHold, order, request_id, validate_only, Priority::Normal))
}
