//! Sends postings in batches: several at once, but what shares an account in the order of the file.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use prost::Message as _;
use strongroom_proto::transactions::v1 as wire;
use strongroom_proto::transactions::v1::transaction_service_client::TransactionServiceClient;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Status};
use tonic_types::pb;
use wire::batch_item::Operation;
use wire::batch_result::Result as ItemResult;

use super::error::ImportError;
use super::resume::{Refused, Resume, Written};
use crate::client::Api;
use crate::refusal::Refusal;

/// What a batch may have at most: the ledger's own limits, with room for the frame.
const ITEMS_MAX: usize = 1_000;
const ENTRIES_MAX: usize = 10_000;
const BYTES_MAX: usize = 2 * 1024 * 1024 - 64 * 1024;
/// Batches that are on their way at once.
const IN_FLIGHT: usize = 4;
/// The deadline of a call, the longest that services allow by default.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// Attempts at what fails for now, and the longest pause between two of them.
const ATTEMPTS: u32 = 12;
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Sends postings.
pub(super) struct Sender {
    client: TransactionServiceClient<Api>,
    priority: wire::Priority,
    batch: Batch,
    in_flight: VecDeque<Flight>,
    /// How many were posted by another run, or by one whose answer was lost.
    pub(super) replayed: u64,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    accounts: HashSet<String>,
    entries: usize,
    bytes: usize,
}

/// A posting, and where it is from.
#[derive(Clone)]
struct Item {
    line: u64,
    id: String,
    request: wire::CreateTransactionRequest,
}

struct Flight {
    accounts: HashSet<String>,
    count: u64,
    answer: AbortOnDropHandle<Result<Decided, Status>>,
}

/// What became of a batch.
#[derive(Default)]
struct Decided {
    last: Option<String>,
    replayed: u64,
    refused: Vec<Refused>,
}

impl Sender {
    pub(super) fn new(client: TransactionServiceClient<Api>, priority: wire::Priority) -> Self {
        let (batch, in_flight) = (Batch::default(), VecDeque::new());
        Self { client, priority, batch, in_flight, replayed: 0 }
    }

    /// Takes a posting, and sends the batch that is full with it.
    pub(super) async fn push(
        &mut self,
        line: u64,
        id: String,
        request: wire::CreateTransactionRequest,
        resume: &mut Resume,
    ) -> Result<(), ImportError> {
        let entries = request.transaction.iter().flat_map(|transaction| &transaction.entries);
        // With what frames an item in its batch.
        let (count, bytes) = (entries.clone().count(), request.encoded_len() + 16);
        let batch = &self.batch;
        if batch.items.len() == ITEMS_MAX
            || batch.entries + count > ENTRIES_MAX
            || batch.bytes + bytes > BYTES_MAX
        {
            self.send(resume).await?;
        }
        self.batch.accounts.extend(entries.map(|entry| entry.account.clone()));
        self.batch.entries += count;
        self.batch.bytes += bytes;
        self.batch.items.push(Item { line, id, request });
        Ok(())
    }

    /// Sends what is left, and waits for all answers.
    pub(super) async fn finish(&mut self, resume: &mut Resume) -> Result<(), ImportError> {
        if !self.batch.items.is_empty() {
            self.send(resume).await?;
        }
        while !self.in_flight.is_empty() {
            self.land(resume).await?;
        }
        Ok(())
    }

    async fn send(&mut self, resume: &mut Resume) -> Result<(), ImportError> {
        let batch = std::mem::take(&mut self.batch);
        let is_free = |flight: &Flight| flight.accounts.is_disjoint(&batch.accounts);
        while self.in_flight.len() >= IN_FLIGHT || !self.in_flight.iter().all(is_free) {
            self.land(resume).await?;
        }
        let count = batch.items.len() as u64;
        let decided = decide(self.client.clone(), self.priority, batch.items);
        let answer = AbortOnDropHandle::new(tokio::spawn(decided));
        self.in_flight.push_back(Flight { accounts: batch.accounts, count, answer });
        Ok(())
    }

    /// Waits for the oldest batch: what is acknowledged is always the begin of the file.
    async fn land(&mut self, resume: &mut Resume) -> Result<(), ImportError> {
        let Some(Flight { count, answer, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let what = || "to post a batch".to_owned();
        let decided = match answer.await {
            Ok(Ok(decided)) => decided,
            Ok(Err(status)) => {
                let message = Refusal::from(&status).line();
                return Err(ImportError::Refused { what: what(), message });
            }
            Err(ended) => {
                return Err(ImportError::Refused { what: what(), message: ended.to_string() });
            }
        };
        self.replayed += decided.replayed;
        let last = decided
            .last
            .map(|request_id| Written { operation: "create-transaction".to_owned(), request_id });
        resume.acknowledge(count, last, decided.refused)
    }
}

/// Asks until every posting is decided.
async fn decide(
    mut client: TransactionServiceClient<Api>,
    priority: wire::Priority,
    mut items: Vec<Item>,
) -> Result<Decided, Status> {
    let mut decided = Decided::default();
    for attempt in 0.. {
        let operations = items.iter().map(|item| wire::BatchItem {
            operation: Some(Operation::Transaction(item.request.clone())),
        });
        let mut request = Request::new(wire::ExecuteBatchRequest {
            items: operations.collect(),
            mode: wire::BatchMode::Independent.into(),
            priority: priority.into(),
            ..wire::ExecuteBatchRequest::default()
        });
        request.set_timeout(DEADLINE);
        let failed = match client.execute_batch(request).await {
            Ok(answer) => {
                let results = answer.into_inner().results;
                items = decided.take(items, results)?;
                Status::unavailable("some items were not decided")
            }
            Err(status) if is_passing(status.code()) => status,
            Err(status) => return Err(status),
        };
        if items.is_empty() {
            break;
        }
        if attempt >= ATTEMPTS {
            return Err(failed);
        }
        pause(attempt).await;
    }
    Ok(decided)
}

impl Decided {
    /// Takes the results, and gives the items that have to be asked for again.
    fn take(
        &mut self,
        items: Vec<Item>,
        results: Vec<wire::BatchResult>,
    ) -> Result<Vec<Item>, Status> {
        let mut again = Vec::new();
        let mut results = results.into_iter();
        for item in items {
            // An answer that is too short has not decided the rest.
            let Some(result) = results.next() else {
                again.push(item);
                continue;
            };
            match result.result {
                Some(ItemResult::Error(status)) if is_passing(Code::from(status.code)) => {
                    again.push(item);
                }
                Some(ItemResult::Error(status)) if !is_of_row(Code::from(status.code)) => {
                    return Err(unpacked(&status));
                }
                Some(ItemResult::Error(status)) => {
                    let message = Refusal::from(&unpacked(&status)).line();
                    self.refused.push(Refused { line: item.line, id: item.id, message });
                }
                _ => {
                    self.replayed += u64::from(result.replayed);
                    self.last = Some(item.request.request_id);
                }
            }
        }
        Ok(again)
    }
}

/// The status of an item as a call of its own would have got it.
fn unpacked(status: &pb::Status) -> Status {
    let details = status.encode_to_vec().into();
    Status::with_details(Code::from(status.code), status.message.clone(), details)
}

/// Whether the same request may be answered otherwise before long.
pub(super) fn is_passing(code: Code) -> bool {
    let passing = [
        Code::Unavailable,
        Code::Aborted,
        Code::ResourceExhausted,
        Code::DeadlineExceeded,
        Code::Cancelled,
        Code::Unknown,
    ];
    passing.contains(&code)
}

/// Whether a refusal is about one row, and the next may be posted. A permission that is missing is
/// missing for all.
fn is_of_row(code: Code) -> bool {
    let of_row =
        [Code::InvalidArgument, Code::NotFound, Code::AlreadyExists, Code::FailedPrecondition];
    of_row.contains(&code)
}

/// Waits before the next attempt, longer each time.
pub(super) async fn pause(attempt: u32) {
    let pause = Duration::from_millis(100).saturating_mul(1 << attempt.min(10));
    tokio::time::sleep(pause.min(PAUSE_MAX)).await;
}

/// Whether another attempt makes sense.
pub(super) fn may_try(attempt: u32, status: &Status) -> bool {
    attempt < ATTEMPTS && is_passing(status.code())
}
