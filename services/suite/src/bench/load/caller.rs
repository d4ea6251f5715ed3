//! One caller: one call at a time, until the outcome of each transfer in it is known.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_proto::transactions::v1 as wire;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use wire::batch_item::Operation;
use wire::batch_result::Result as Outcome;
use wire::transaction_service_client::TransactionServiceClient;

use super::connection::Connection;
use super::tally::Tally;
use super::transfer;

/// What a call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a transfer is asked for at most, and the pause before the second time, which doubles.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// A caller.
pub(super) struct Caller {
    pub(super) client: TransactionServiceClient<Connection>,
    pub(super) bearer: MetadataValue<Ascii>,
    /// How many accounts its tenant has.
    pub(super) accounts: u64,
    /// Transfers in one call.
    pub(super) batch: usize,
    /// Whether the first account takes part in every transfer.
    pub(super) hot: bool,
    pub(super) tally: Rc<Tally>,
    /// Of all callers, for whoever watches.
    pub(super) acknowledged: Arc<AtomicU64>,
}

impl Caller {
    /// Calls until the measurement ends, or until an answer is none.
    pub(super) async fn run(mut self) {
        while let Some(due) = self.tally.next() {
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            match self.call().await {
                Ok(transfers) => {
                    self.tally.answered(due, Instant::now(), transfers);
                    self.acknowledged.fetch_add(transfers, Ordering::Relaxed);
                }
                Err(status) => {
                    // The measurement is void; a caller that went on would only heat the machine.
                    return self.tally.count(|counts| {
                        counts.failed += 1;
                        counts.failure.get_or_insert_with(|| status.to_string());
                    });
                }
            }
        }
    }

    /// Asks for transfers, with the same request ids until each has its outcome, and gives how many
    /// were acknowledged.
    async fn call(&mut self) -> Result<u64, Status> {
        let mut rng = rand::rng();
        let new = || transfer::random(&mut rng, self.accounts, self.hot);
        let mut open: Vec<_> = std::iter::repeat_with(new).take(self.batch).collect();
        let (mut acknowledged, mut attempt) = (0, 0);
        loop {
            let asked = std::mem::take(&mut open);
            let answers = self.ask(&asked).await;
            for (asked, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(posted) if transfer::answers(&posted, &asked) => acknowledged += 1,
                    Ok(posted) => {
                        let what = format!("{} is not what was asked for", posted.name);
                        return Err(Status::internal(what));
                    }
                    Err(status) if status.code() == Code::FailedPrecondition => {
                        self.tally.count(|counts| counts.rejected += 1);
                    }
                    Err(status) if may_repeat(&status) && attempt + 1 < ATTEMPTS => {
                        self.tally.count(|counts| counts.retried += 1);
                        open.push(asked);
                    }
                    Err(status) => return Err(status),
                }
            }
            if open.is_empty() {
                return Ok(acknowledged);
            }
            tokio::time::sleep(PAUSE * (1 << attempt)).await;
            attempt += 1;
        }
    }

    /// Asks once: a single transfer by its own method, several as a batch.
    async fn ask(
        &mut self,
        asked: &[wire::CreateTransferRequest],
    ) -> Vec<Result<wire::Transaction, Status>> {
        if let [asked] = asked {
            let answer = self.client.create_transfer(request(asked.clone(), &self.bearer)).await;
            return vec![answer.map(tonic::Response::into_inner)];
        }
        let item = |asked: &wire::CreateTransferRequest| wire::BatchItem {
            operation: Some(Operation::Transfer(asked.clone())),
        };
        let batch = wire::ExecuteBatchRequest {
            items: asked.iter().map(item).collect(),
            mode: wire::BatchMode::Independent.into(),
            ..wire::ExecuteBatchRequest::default()
        };
        let short = || Err(Status::internal("a result is missing"));
        match self.client.execute_batch(request(batch, &self.bearer)).await {
            Ok(answer) => {
                let results = answer.into_inner().results.into_iter().map(outcome);
                results.chain(std::iter::repeat_with(short)).take(asked.len()).collect()
            }
            Err(status) => vec![Err(status); asked.len()],
        }
    }
}

fn request<T>(message: T, bearer: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

fn outcome(result: wire::BatchResult) -> Result<wire::Transaction, Status> {
    match result.result {
        Some(Outcome::Transaction(posted)) => Ok(posted),
        Some(Outcome::Error(status)) => Err(Status::new(status.code.into(), status.message)),
        None => Err(Status::internal("a result is empty")),
    }
}

/// Whether the contract says to repeat with the same request id.
fn may_repeat(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Aborted | Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
    )
}
