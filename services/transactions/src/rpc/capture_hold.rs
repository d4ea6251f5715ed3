//! `HoldService.CaptureHold`.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::draft::{Fields, draft, entries};
use super::orders::{Asked, Method, submit};
use super::{Rpc, encode};
use crate::domain::{Capture, HoldId, Order, What};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CaptureHoldRequest>,
) -> Result<Response<wire::CaptureHoldResponse>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::captured(submit(rpc, &call, asked).await?, &call, rpc.timeline)?)
}

pub(super) fn decode(
    request: wire::CaptureHoldRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let order = order(request, known)?;
    Ok(Asked::one(Method::CaptureHold, order, request_id, validate_only, priority))
}

/// The capture that is asked for, without its request id.
pub(super) fn order(request: wire::CaptureHoldRequest, known: &Currencies) -> Decoded<Order> {
    let hold = HoldId::parse_name(&request.name).at("name")?;
    let amount = request.amount.as_ref().map(|amount| Money::decode_positive(amount, known));
    let what = match (amount.transpose().at("amount")?, request.entries.is_empty()) {
        (None, true) => What::Remaining,
        (Some(amount), true) => What::Amount(amount),
        (None, false) => What::Entries,
        (Some(_), false) => {
            return Err(invalid("must not be given with entries")).at("amount");
        }
    };
    let entries = match what {
        What::Entries => entries(request.entries, known).at("entries")?,
        What::Remaining | What::Amount(_) => Vec::new(),
    };
    let fields = Fields {
        transaction_id: request.transaction_id,
        kind: request.r#type,
        description: request.description,
        labels: request.labels,
        effective_time: request.effective_time,
        links: request.links,
        evidence: request.evidence,
        external_ids: request.external_ids,
        group_id: request.group_id,
        force: request.force,
        booking_date: String::new(),
        late: wire::LatePosting::Unspecified,
        import: None,
    };
    let draft = draft(fields, Some("CAPTURE"), entries, known)?;
    Ok(Order::Capture(Capture { hold, what, keep_open: request.keep_open, draft }))
}
