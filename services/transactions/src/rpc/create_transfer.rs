//! `TransactionService.CreateTransfer`: the transaction of two entries.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::Money;
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::post::{Post, post};
use super::{Rpc, encode};
use crate::domain::{AccountId, Direction, NewEntry, NewTransaction, TransactionId};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateTransferRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), Priority::Normal)?;
    Ok(encode::posted(post(rpc, &call, asked).await.map_err(own_fields)?)?)
}

pub(super) fn decode(request: wire::CreateTransferRequest, priority: Priority) -> Decoded<Post> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let transactions = vec![transaction(request)?];
    Ok(Post { transactions, batch: false, request_id, validate_only, priority })
}

/// The transaction of two entries that is asked for, without its request id.
pub(super) fn transaction(request: wire::CreateTransferRequest) -> Decoded<NewTransaction> {
    let from = AccountId::parse_name(&request.from).at("from")?;
    let to = AccountId::parse_name(&request.to).at("to")?;
    if from == to {
        return Err(invalid("must be another account than from")).at("to");
    }
    let amount =
        field::required(request.amount.as_ref()).and_then(Money::decode_positive).at("amount")?;
    let entry = |account, direction| NewEntry { account, direction, amount, memo: String::new() };
    let kind = if request.r#type.is_empty() { "TRANSFER".to_owned() } else { request.r#type };
    Ok(NewTransaction {
        id: TransactionId::parse_chosen(&request.transaction_id).at("transaction_id")?,
        kind: field::code(kind).at("type")?,
        entries: vec![entry(from, Direction::Debit), entry(to, Direction::Credit)],
        description: field::text(request.description, 0, 1_024).at("description")?,
        labels: field::labels(request.labels).at("labels")?,
        effective_time: request
            .effective_time
            .map(Timestamp::decode)
            .transpose()
            .at("effective_time")?,
    })
}

/// A posting names the fields of a transaction; here they are the transfer's own.
pub(super) fn own_fields(mut problem: Problem) -> Problem {
    problem.field = problem.field.map(|field| {
        let own = field.strip_prefix("transaction.").unwrap_or(&field);
        match own.strip_prefix("entries[").and_then(|entry| entry.split_once("].")) {
            Some((_, field)) => field.to_owned(),
            None => own.to_owned(),
        }
    });
    problem
}
