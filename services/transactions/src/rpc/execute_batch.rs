//! `TransactionService.ExecuteBatch`.

use futures_util::future::join_all;
use prost::Message as _;
use shared::field::{self, At as _, Decoded, invalid, required};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use wire::batch_item::Operation;
use wire::batch_result::Result as ItemResult;

use super::post::{Done, Post, post};
use super::{Rpc, create_transaction, create_transfer, encode};
use crate::domain::NewTransaction;

/// Items that one batch may have.
const ITEMS_MAX: usize = 1_000;
/// Entries that all items of one batch may have together.
const ENTRIES_MAX: usize = 10_000;
/// Bytes that all items of one batch may have together: half of a message, because the answer says
/// more of each entry, and what is posted must not fail for the length of its answer.
const BYTES_MAX: usize = 2 * 1024 * 1024;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ExecuteBatchRequest>,
) -> Result<Response<wire::ExecuteBatchResponse>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    check_sizes(&request.items)?;
    let priority = match request.priority() {
        wire::Priority::Bulk => Priority::Bulk,
        wire::Priority::Normal | wire::Priority::Unspecified => Priority::Normal,
    };
    match request.mode() {
        wire::BatchMode::Independent => Ok(independent(rpc, &call, request, priority).await?),
        wire::BatchMode::AllOrNothing => Ok(all_or_nothing(rpc, &call, request, priority).await?),
        wire::BatchMode::Unspecified => {
            Err(invalid("must be INDEPENDENT or ALL_OR_NOTHING")).at("mode")?
        }
    }
}

fn check_sizes(items: &[wire::BatchItem]) -> Decoded<()> {
    let too_many = |reason, what: &str, count: usize, limit: usize| {
        let sentence = format!("must have at most {limit} {what}, and has {count}");
        let problem = Problem::new(reason, sentence).in_field("items");
        Err(Box::new(problem.figure("count", count).figure("limit", limit)))
    };
    let entries = |item: &wire::BatchItem| match &item.operation {
        Some(Operation::Transaction(request)) => {
            request.transaction.as_ref().map_or(0, |transaction| transaction.entries.len())
        }
        Some(Operation::Transfer(_)) => 2,
        None => 0,
    };
    let entries: usize = items.iter().map(entries).sum();
    let bytes: usize = items.iter().map(wire::BatchItem::encoded_len).sum();
    match items.len() {
        0 => Err(invalid("must have at least one item")).at("items"),
        count if count > ITEMS_MAX => too_many(Reason::TooManyItems, "items", count, ITEMS_MAX),
        _ if entries > ENTRIES_MAX => {
            too_many(Reason::TooManyEntries, "entries", entries, ENTRIES_MAX)
        }
        _ if bytes > BYTES_MAX => too_many(Reason::MessageTooLarge, "bytes", bytes, BYTES_MAX),
        _ => Ok(()),
    }
}

/// Each item as a call of its own would be; the lane puts them into common commits.
async fn independent(
    rpc: &Rpc,
    call: &Call,
    request: wire::ExecuteBatchRequest,
    priority: Priority,
) -> Result<Response<wire::ExecuteBatchResponse>, Problem> {
    if !request.request_id.is_empty() {
        let sentence = "must be empty: in INDEPENDENT each item has its own";
        return Err(invalid(sentence).in_field("request_id"));
    }
    let validate_only = request.validate_only;
    let items = request.items.into_iter().map(|item| async move {
        let (asked, is_transfer) = decode(item, priority)?;
        let asked = Post { validate_only: asked.validate_only || validate_only, ..asked };
        let done = post(rpc, call, asked).await;
        if is_transfer { done.map_err(create_transfer::own_fields) } else { done }
    });
    let results = join_all(items).await.into_iter().map(|done| match done {
        Ok(done) => encode_done(done),
        Err(problem) => vec![encode_error(problem)],
    });
    Ok(Response::new(wire::ExecuteBatchResponse { results: results.flatten().collect() }))
}

fn decode(item: wire::BatchItem, priority: Priority) -> Decoded<(Post, bool)> {
    match required(item.operation).at("operation")? {
        Operation::Transaction(request) => {
            Ok((create_transaction::decode(request, priority)?, false))
        }
        Operation::Transfer(request) => Ok((create_transfer::decode(request, priority)?, true)),
    }
}

/// One request over all items, under the batch's own request id.
async fn all_or_nothing(
    rpc: &Rpc,
    call: &Call,
    request: wire::ExecuteBatchRequest,
    priority: Priority,
) -> Result<Response<wire::ExecuteBatchResponse>, Problem> {
    let request_id = match request.validate_only {
        true => field::request_id(request.request_id).at("request_id")?.unwrap_or_default(),
        false => field::required_request_id(request.request_id).at("request_id")?,
    };
    let transfers: Vec<bool> = request
        .items
        .iter()
        .map(|item| matches!(item.operation, Some(Operation::Transfer(_))))
        .collect();
    let items = request.items.into_iter().enumerate();
    let transactions: Vec<NewTransaction> = items
        .map(|(index, item)| decode_part(item).at_index("items", index))
        .collect::<Decoded<_>>()?;
    let validate_only = request.validate_only;
    let asked = Post { transactions, batch: true, request_id, validate_only, priority };
    let done = post(rpc, call, asked).await.map_err(|problem| in_item(problem, &transfers))?;
    let replayed = done.replayed;
    let response = wire::ExecuteBatchResponse { results: encode_done(done) };
    Ok(match replayed {
        true => shared::grpc::call::replayed(response),
        false => Response::new(response),
    })
}

fn decode_part(item: wire::BatchItem) -> Decoded<NewTransaction> {
    let alone = |request_id: &str, validate_only: bool| {
        if !request_id.is_empty() {
            return Err(invalid("must be empty: the batch has one")).at("request_id");
        }
        if validate_only {
            return Err(invalid("must be false: the batch has one")).at("validate_only");
        }
        Ok(())
    };
    match required(item.operation).at("operation")? {
        Operation::Transaction(request) => alone(&request.request_id, request.validate_only)
            .and_then(|()| create_transaction::transaction(request))
            .at("transaction"),
        Operation::Transfer(request) => alone(&request.request_id, request.validate_only)
            .and_then(|()| create_transfer::transaction(request))
            .at("transfer"),
    }
}

/// A refusal of one item, with its field as the batch has it.
fn in_item(mut problem: Problem, transfers: &[bool]) -> Problem {
    let item = problem.figures.get("item").and_then(|item| item.parse::<usize>().ok());
    let Some(item) = item else { return problem };
    let is_transfer = transfers.get(item) == Some(&true);
    if problem.field.is_none() {
        return problem;
    }
    let kind = if is_transfer { "transfer" } else { "transaction" };
    if is_transfer {
        problem = create_transfer::own_fields(problem);
    }
    problem.field = problem.field.map(|field| format!("items[{item}].{kind}.{field}"));
    problem
}

fn encode_done(done: Done) -> Vec<wire::BatchResult> {
    let replayed = done.replayed;
    let encode = |stored| wire::BatchResult {
        result: Some(ItemResult::Transaction(encode::transaction(stored))),
        replayed,
    };
    done.transactions.into_iter().map(encode).collect()
}

/// The status that a call of its own would have got.
fn encode_error(problem: Problem) -> wire::BatchResult {
    let status = Status::from(problem);
    // The details of a status are the encoded `google.rpc.Status` itself.
    let error = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    wire::BatchResult { result: Some(ItemResult::Error(error)), replayed: false }
}
