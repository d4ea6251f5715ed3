//! `TransactionService.CreateTransaction`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::Currencies;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::draft::{Fields, draft, entries};
use super::orders::{Asked, Method, submit};
use super::{Rpc, encode};
use crate::domain::{NewTransaction, Order, TransactionId};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::posted(submit(rpc, &call, asked).await?, &call)?)
}

pub(super) fn decode(
    request: wire::CreateTransactionRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let order = order(request, known)?;
    Ok(Asked::one(Method::CreateTransaction, order, request_id, validate_only, priority))
}

/// The transaction that is asked for, without its request id.
pub(super) fn order(request: wire::CreateTransactionRequest, known: &Currencies) -> Decoded<Order> {
    let id = TransactionId::parse_chosen(&request.transaction_id).at("transaction_id")?;
    let transaction = field::required(request.transaction).at("transaction")?;
    let draft = transaction_fields(transaction, known).at("transaction")?;
    Ok(Order::Post(NewTransaction { id, ..draft }))
}

fn transaction_fields(wire: wire::Transaction, known: &Currencies) -> Decoded<NewTransaction> {
    let late = wire.late();
    let entries = entries(wire.entries, known).at("entries")?;
    let fields = Fields {
        transaction_id: String::new(),
        kind: wire.r#type,
        description: wire.description,
        labels: wire.labels,
        effective_time: wire.effective_time,
        links: wire.links,
        evidence: wire.evidence,
        external_ids: wire.external_ids,
        group_id: wire.group_id,
        force: wire.force,
        booking_date: wire.booking_date,
        late,
        import: wire.import,
    };
    draft(fields, None, entries, known)
}
