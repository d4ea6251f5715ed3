//! `HoldService.CreateHold`.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use shared::problem::Reason;
use strongroom_proto::common::v1::Money as WireMoney;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::orders::{Asked, Method, submit};
use super::{Rpc, draft, encode};
use crate::domain::{AccountId, HoldId, NewHold, Order};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateHoldRequest>,
) -> Result<Response<wire::Hold>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::held(submit(rpc, &call, asked).await?, rpc.timeline)?)
}

pub(super) fn decode(
    request: wire::CreateHoldRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let order = order(request, known)?;
    Ok(Asked::one(Method::CreateHold, order, request_id, validate_only, priority))
}

/// The hold that is asked for, without its request id.
pub(super) fn order(request: wire::CreateHoldRequest, known: &Currencies) -> Decoded<Order> {
    let id = HoldId::parse_chosen(&request.hold_id).at("hold_id")?;
    let hold = field::required(request.hold).at("hold")?;
    Ok(Order::Hold(hold_fields(hold, id, known).at("hold")?))
}

fn hold_fields(wire: wire::Hold, id: Option<HoldId>, known: &Currencies) -> Decoded<NewHold> {
    let account = AccountId::parse_name(&wire.account).at("account")?;
    let destination = match wire.destination.as_str() {
        "" => None,
        name => Some(AccountId::parse_name(name).at("destination")?),
    };
    if destination == Some(account) {
        return Err(invalid("must be another account than account")).at("destination");
    }
    let amount = field::required(wire.amount.as_ref())
        .and_then(|amount| Money::decode_positive(amount, known))
        .at("amount")?;
    Ok(NewHold {
        id,
        account,
        destination,
        amount,
        over_capture: over_capture(wire.over_capture.as_ref(), amount, known).at("over_capture")?,
        kind: draft::kind(wire.r#type, Some("HOLD")).at("type")?,
        expire_time: draft::time(wire.expire_time).at("expire_time")?,
        description: draft::description(wire.description).at("description")?,
        external_ids: draft::external_ids(wire.external_ids).at("external_ids")?,
        force: draft::force(wire.force).at("force")?,
    })
}

fn over_capture(
    wire: Option<&WireMoney>,
    amount: Money,
    known: &Currencies,
) -> Decoded<Option<Money>> {
    let Some(over) = wire.map(|money| Money::decode(money, known)).transpose()? else {
        return Ok(None);
    };
    if over.currency != amount.currency {
        let mut problem = invalid(format!("must be in {}, as the amount", amount.currency));
        problem.reason = Reason::CurrencyMismatch;
        return Err(problem).at("currency");
    }
    if over.units.get() < 0 {
        return Err(invalid("must not be negative")).at("amount");
    }
    if over.units.checked_add(amount.units).is_none() {
        return Err(invalid("must have at most 38 digits with the amount")).at("amount");
    }
    Ok(Some(over))
}
