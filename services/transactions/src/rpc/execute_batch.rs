//! `TransactionService.ExecuteBatch`.

use futures_util::future::join_all;
use prost::Message as _;
use shared::field::{self, At as _, Decoded, invalid, required};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::Currencies;
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use uuid::Uuid;
use wire::batch_item::Operation;
use wire::batch_result::Result as ItemResult;

use super::orders::{Asked, Method, submit};
use super::{
    Rpc, capture_hold, create_hold, create_transaction, create_transfer, draft, encode,
    release_hold, reverse_transaction,
};
use crate::domain::{BATCH_ENTRIES_MAX, Made, Order};

/// Items that one batch may have.
const ITEMS_MAX: usize = 1_000;
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
        Some(Operation::Capture(request)) => request.entries.len().max(2),
        // Of everything the engine knows how much it is.
        Some(Operation::Reversal(request)) => request.parts.len().max(2),
        Some(_) => 2,
        None => 0,
    };
    let entries: usize = items.iter().map(entries).sum();
    let bytes: usize = items.iter().map(wire::BatchItem::encoded_len).sum();
    match items.len() {
        0 => Err(invalid("must have at least one item")).at("items"),
        count if count > ITEMS_MAX => too_many(Reason::TooManyItems, "items", count, ITEMS_MAX),
        _ if entries > BATCH_ENTRIES_MAX => {
            too_many(Reason::TooManyEntries, "entries", entries, BATCH_ENTRIES_MAX)
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
    let group_id = draft::group_id(request.group_id).at("group_id")?;
    let validate_only = request.validate_only;
    // All are read before the first is done: one that waits for a currency to be looked up must not
    // be overtaken by the next, which may be about what it makes.
    let mut items = Vec::with_capacity(request.items.len());
    for item in request.items {
        let read = |known: &Currencies| decode(item.clone(), priority, known);
        let mut asked = rpc.currencies.decode(call, read).await;
        if let Ok(asked) = &mut asked {
            asked.validate_only |= validate_only;
            group(&mut asked.orders, group_id.as_ref());
        }
        items.push(asked);
    }
    let items = items.into_iter().map(async |asked| submit(rpc, call, asked?).await);
    let results = join_all(items).await.into_iter().flat_map(|done| match done {
        Ok(done) => {
            let replayed = done.replayed;
            done.made
                .into_iter()
                .map(|made| encode_made(made, replayed, call, rpc.timeline))
                .collect()
        }
        Err(problem) => vec![encode_error(problem)],
    });
    Ok(Response::new(wire::ExecuteBatchResponse { results: results.collect() }))
}

fn decode(item: wire::BatchItem, priority: Priority, known: &Currencies) -> Decoded<Asked> {
    match required(item.operation).at("operation")? {
        Operation::Transaction(request) => create_transaction::decode(request, priority, known),
        Operation::Transfer(request) => create_transfer::decode(request, priority, known),
        Operation::Hold(request) => create_hold::decode(request, priority, known),
        Operation::Capture(request) => capture_hold::decode(request, priority, known),
        Operation::Release(request) => release_hold::decode(&request, priority, known),
        Operation::Reversal(request) => reverse_transaction::decode(request, priority, known),
    }
}

/// One request over all items, under the batch's own request id.
async fn all_or_nothing(
    rpc: &Rpc,
    call: &Call,
    request: wire::ExecuteBatchRequest,
    priority: Priority,
) -> Result<Response<wire::ExecuteBatchResponse>, Problem> {
    let validate_only = request.validate_only;
    let request_id = match validate_only {
        true => field::request_id(request.request_id).at("request_id")?.unwrap_or_default(),
        false => field::required_request_id(request.request_id).at("request_id")?,
    };
    let group_id = draft::group_id(request.group_id).at("group_id")?;
    let items = request.items;
    let read = |known: &Currencies| {
        let items = items.iter().cloned().enumerate();
        items.map(|(index, item)| decode_part(item, known).at_index("items", index)).collect()
    };
    let mut orders: Vec<(Method, Order)> = rpc.currencies.decode(call, read).await?;
    group(&mut orders, group_id.as_ref());
    let asked = Asked { orders, is_batch: true, request_id, validate_only, priority };
    let done = submit(rpc, call, asked).await?;
    let encode = |made| encode_made(made, done.replayed, call, rpc.timeline);
    let made = done.made.into_iter().map(encode);
    let response = wire::ExecuteBatchResponse { results: made.collect() };
    Ok(match done.replayed {
        true => shared::grpc::call::replayed(response),
        false => Response::new(response),
    })
}

fn decode_part(item: wire::BatchItem, known: &Currencies) -> Decoded<(Method, Order)> {
    let alone = |request_id: &str, validate_only: bool| {
        if !request_id.is_empty() {
            return Err(invalid("must be empty: the batch has one")).at("request_id");
        }
        if validate_only {
            return Err(invalid("must be false: the batch has one")).at("validate_only");
        }
        Ok(())
    };
    let (method, order) = match required(item.operation).at("operation")? {
        Operation::Transaction(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            let order = alone.and_then(|()| create_transaction::order(request, known));
            (Method::CreateTransaction, order)
        }
        Operation::Transfer(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            let order = alone.and_then(|()| create_transfer::order(request, known));
            (Method::CreateTransfer, order)
        }
        Operation::Hold(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            (Method::CreateHold, alone.and_then(|()| create_hold::order(request, known)))
        }
        Operation::Capture(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            (Method::CaptureHold, alone.and_then(|()| capture_hold::order(request, known)))
        }
        Operation::Release(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            (Method::ReleaseHold, alone.and_then(|()| release_hold::order(&request, known)))
        }
        Operation::Reversal(request) => {
            let alone = alone(&request.request_id, request.validate_only);
            let order = alone.and_then(|()| reverse_transaction::order(request, known));
            (Method::ReverseTransaction, order)
        }
    };
    Ok((method, order.at(method.item_field())?))
}

/// Puts the transactions that name no group into that of the batch.
fn group(orders: &mut [(Method, Order)], id: Option<&String>) {
    let Some(id) = id else { return };
    for draft in orders.iter_mut().filter_map(|(_, order)| order.draft_mut()) {
        draft.group_id.get_or_insert_with(|| id.clone());
    }
}

fn encode_made(made: Made, replayed: bool, call: &Call, timeline: Uuid) -> wire::BatchResult {
    let result = match made {
        Made::Transaction(posted) => {
            ItemResult::Transaction(Box::new(encode::transaction(*posted, call)))
        }
        Made::Hold(hold) => ItemResult::Hold(Box::new(encode::hold(*hold, timeline))),
        Made::Capture(hold, posted) => {
            ItemResult::Capture(Box::new(encode::capture(*hold, *posted, call, timeline)))
        }
    };
    wire::BatchResult { result: Some(result), replayed }
}

/// The status that a call of its own would have got.
fn encode_error(problem: Problem) -> wire::BatchResult {
    let status = Status::from(problem);
    // The details of a status are the encoded `google.rpc.Status` itself.
    let error = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    wire::BatchResult { result: Some(ItemResult::Error(error)), replayed: false }
}
