//! `TransactionService.ReverseTransaction`.

use std::collections::BTreeSet;

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::{Currencies, Money};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::draft::{Fields, draft};
use super::orders::{Asked, Method, submit};
use super::{Rpc, encode};
use crate::domain::{ENTRIES_MAX, Order, Part, Reversal, TransactionId};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReverseTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), Priority::Normal, known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(encode::posted(submit(rpc, &call, asked).await?, &call)?)
}

pub(super) fn decode(
    request: wire::ReverseTransactionRequest,
    priority: Priority,
    known: &Currencies,
) -> Decoded<Asked> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let order = order(request, known)?;
    Ok(Asked::one(Method::ReverseTransaction, order, request_id, validate_only, priority))
}

/// The reversal that is asked for, without its request id.
pub(super) fn order(
    request: wire::ReverseTransactionRequest,
    known: &Currencies,
) -> Decoded<Order> {
    let original = TransactionId::parse_name(&request.name).at("name")?;
    let late = request.late();
    let parts = parts(request.parts, known).at("parts")?;
    let fields = Fields {
        transaction_id: request.transaction_id,
        kind: request.r#type,
        description: request.description,
        labels: request.labels,
        effective_time: request.effective_time,
        links: Vec::new(),
        evidence: request.evidence,
        external_ids: request.external_ids,
        group_id: request.group_id,
        force: request.force,
        booking_date: request.booking_date,
        late,
        import: None,
    };
    let draft = draft(fields, Some("REVERSAL"), Vec::new(), known)?;
    Ok(Order::Reverse(Reversal { original, parts, draft }))
}

fn parts(wire: Vec<wire::ReversalPart>, known: &Currencies) -> Decoded<Vec<Part>> {
    if wire.len() > ENTRIES_MAX {
        return Err(invalid(format!("must be at most {ENTRIES_MAX}")));
    }
    let mut seen = BTreeSet::new();
    let mut parts = Vec::with_capacity(wire.len());
    for (index, part) in wire.into_iter().enumerate() {
        if part.entry_index < 0 {
            return Err(invalid("must not be negative")).at("entry_index").at_index("", index);
        }
        if !seen.insert(part.entry_index) {
            return Err(invalid("must not be given twice")).at("entry_index").at_index("", index);
        }
        let amount = field::required(part.amount.as_ref())
            .and_then(|amount| Money::decode_positive(amount, known))
            .at("amount")
            .at_index("", index)?;
        parts.push(Part { index: part.entry_index, amount });
    }
    Ok(parts)
}
