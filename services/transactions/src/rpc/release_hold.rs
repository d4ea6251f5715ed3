//! `HoldService.ReleaseHold`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::orders::{Asked, Method, submit};
use super::{Rpc, encode};
use crate::domain::{HoldId, Order, Release};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReleaseHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(&request, Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::held(submit(rpc, &call, asked).await?, rpc.timeline)?)
}

pub(super) fn decode(
    request: &wire::ReleaseHoldRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let (order, validate_only) = (order(request, known)?, request.validate_only);
    Ok(Asked::one(Method::ReleaseHold, order, request_id, validate_only, priority))
}

/// The release that is asked for, without its request id.
pub(super) fn order(request: &wire::ReleaseHoldRequest, known: &Currencies) -> Decoded<Order> {
    let hold = HoldId::parse_name(&request.name).at("name")?;
    let amount = request.amount.as_ref().map(|amount| Money::decode_positive(amount, known));
    Ok(Order::Release(Release { hold, amount: amount.transpose().at("amount")? }))
}
