//! `TransactionService.CreateTransfer`: the transaction of two entries.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::draft::{Fields, draft};
use super::orders::{Asked, Method, submit};
use super::{Rpc, encode};
use crate::domain::{AccountId, Direction, NewEntry, Order};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateTransferRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::posted(submit(rpc, &call, asked).await?, &call)?)
}

pub(super) fn decode(
    request: wire::CreateTransferRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let order = order(request, known)?;
    Ok(Asked::one(Method::CreateTransfer, order, request_id, validate_only, priority))
}

/// The transaction of two entries that is asked for, without its request id.
pub(super) fn order(request: wire::CreateTransferRequest, known: &Currencies) -> Decoded<Order> {
    let from = AccountId::parse_name(&request.from).at("from")?;
    let to = AccountId::parse_name(&request.to).at("to")?;
    if from == to {
        return Err(invalid("must be another account than from")).at("to");
    }
    let amount = field::required(request.amount.as_ref())
        .and_then(|amount| Money::decode_positive(amount, known))
        .at("amount")?;
    let entries = vec![
        NewEntry::plain(from, Direction::Debit, amount),
        NewEntry::plain(to, Direction::Credit, amount),
    ];
    let late = request.late();
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
        booking_date: request.booking_date,
        late,
        import: None,
    };
    Ok(Order::Post(draft(fields, Some("TRANSFER"), entries, known)?))
}
