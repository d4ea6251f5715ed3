//! `HoldService.IncreaseHold`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::orders::{Asked, Method, submit};
use super::{Rpc, draft, encode};
use crate::domain::{HoldId, Increase, Order};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::IncreaseHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::held(submit(rpc, &call, asked).await?, rpc.timeline)?)
}

fn decode(request: wire::IncreaseHoldRequest, known: &Currencies) -> Decoded<Asked> {
    let order = Order::Increase(Increase {
        hold: HoldId::parse_name(&request.name).at("name")?,
        amount: field::required(request.amount.as_ref())
            .and_then(|amount| Money::decode_positive(amount, known))
            .at("amount")?,
        force: draft::force(request.force).at("force")?,
    });
    let request_id = field::required_request_id(request.request_id).at("request_id")?;
    let validate_only = request.validate_only;
    Ok(Asked::one(Method::IncreaseHold, order, request_id, validate_only, Priority::Normal))
}
