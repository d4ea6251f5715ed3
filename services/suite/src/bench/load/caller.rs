//! One caller: one call at a time, until what became of each thing that it asks for is known.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_proto::transactions::v1 as wire;
use tonic::codegen::http::Uri;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use wire::balance_service_client::BalanceServiceClient;
use wire::batch_item::Operation;
use wire::batch_result::Result as Outcome;
use wire::hold_service_client::HoldServiceClient;
use wire::transaction_service_client::TransactionServiceClient;

use super::connection::Connection;
use super::plan::Book;
use super::read::Question;
use super::tally::Tally;
use super::{hold, transfer};
use crate::bench::case::Work;

/// What a call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a thing is asked for at most, and the pause before the second time, which doubles.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// A caller.
pub(super) struct Caller {
    pub(super) clients: Clients,
    pub(super) bearer: Bearer,
    pub(super) book: Book,
    pub(super) work: Work,
    /// Transfers in one call.
    pub(super) batch: usize,
    /// Whether the first account takes part in every transfer.
    pub(super) hot: bool,
    /// Who goes first.
    pub(super) priority: wire::Priority,
    pub(super) tally: Rc<Tally>,
    /// Of all callers, for whoever watches.
    pub(super) acknowledged: Arc<AtomicU64>,
}

/// The clients of a caller, on one connection.
pub(super) struct Clients {
    pub(super) transactions: TransactionServiceClient<Connection>,
    pub(super) holds: HoldServiceClient<Connection>,
    pub(super) balances: BalanceServiceClient<Connection>,
}

impl Clients {
    pub(super) fn new((connection, origin): (Connection, Uri)) -> Self {
        Self {
            transactions: TransactionServiceClient::with_origin(connection.clone(), origin.clone()),
            holds: HoldServiceClient::with_origin(connection.clone(), origin.clone()),
            balances: BalanceServiceClient::with_origin(connection, origin),
        }
    }
}

/// What every call of a caller has.
pub(super) struct Bearer {
    value: MetadataValue<Ascii>,
}

impl Bearer {
    pub(super) fn new(book: &Book) -> Result<Self, String> {
        let value = format!("Bearer {}", book.token).parse();
        Ok(Self { value: value.map_err(|_| "a token is not ASCII".to_owned())? })
    }

    /// A call with this message.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.endless(message);
        request.set_timeout(DEADLINE);
        request
    }

    /// The same without a deadline.
    pub(super) fn endless<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.value.clone());
        request
    }
}

impl Caller {
    /// Calls until the measurement ends, or until an answer is none.
    pub(super) async fn run(mut self) {
        while let Some(due) = self.tally.next() {
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let answered = match self.work {
                Work::Transfers => self.transfers().await,
                Work::Holds => self.hold().await,
                read => self.read(read).await,
            };
            match answered {
                Ok(count) => {
                    self.tally.answered(due, Instant::now(), count);
                    self.acknowledged.fetch_add(count, Ordering::Relaxed);
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
    async fn transfers(&mut self) -> Result<u64, Status> {
        let mut rng = rand::rng();
        let new = || transfer::random(&mut rng, self.book.accounts, self.hot);
        let mut open: Vec<_> = std::iter::repeat_with(new).take(self.batch).collect();
        let (mut acknowledged, mut attempt) = (0, 0);
        loop {
            let asked = std::mem::take(&mut open);
            let answers = self.ask(&asked).await;
            for (asked, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(posted) if transfer::answers(&posted, &asked) => acknowledged += 1,
                    Ok(posted) => return Err(another(&posted.name)),
                    Err(status) if self.is_settled(&status, attempt)? => {}
                    Err(_) => open.push(asked),
                }
            }
            if open.is_empty() {
                return Ok(acknowledged);
            }
            pause(&mut attempt).await;
        }
    }

    /// Asks once: a single transfer by its own method, several as a batch.
    async fn ask(
        &mut self,
        asked: &[wire::CreateTransferRequest],
    ) -> Vec<Result<wire::Transaction, Status>> {
        if let [asked] = asked {
            let request = self.bearer.request(asked.clone());
            let answer = self.clients.transactions.create_transfer(request).await;
            return vec![answer.map(tonic::Response::into_inner)];
        }
        let item = |asked: &wire::CreateTransferRequest| wire::BatchItem {
            operation: Some(Operation::Transfer(asked.clone())),
        };
        let batch = self.bearer.request(wire::ExecuteBatchRequest {
            items: asked.iter().map(item).collect(),
            mode: wire::BatchMode::Independent.into(),
            priority: self.priority.into(),
            ..wire::ExecuteBatchRequest::default()
        });
        let short = || Err(Status::internal("a result is missing"));
        match self.clients.transactions.execute_batch(batch).await {
            Ok(answer) => {
                let results = answer.into_inner().results.into_iter().map(outcome);
                results.chain(std::iter::repeat_with(short)).take(asked.len()).collect()
            }
            Err(status) => vec![Err(status); asked.len()],
        }
    }

    /// Asks for a hold, with the same request id until it has its outcome.
    async fn hold(&mut self) -> Result<u64, Status> {
        let asked = hold::random(&mut rand::rng(), self.book.accounts);
        let mut attempt = 0;
        loop {
            let request = self.bearer.request(asked.clone());
            match self.clients.holds.create_hold(request).await {
                Ok(made) if hold::answers(made.get_ref(), &asked) => return Ok(1),
                Ok(made) => return Err(another(&made.get_ref().name)),
                Err(status) if self.is_settled(&status, attempt)? => return Ok(0),
                Err(_) => pause(&mut attempt).await,
            }
        }
    }

    /// Reads something.
    async fn read(&mut self, work: Work) -> Result<u64, Status> {
        let question = Question::random(&mut rand::rng(), work, &self.book);
        let mut attempt = 0;
        loop {
            match question.ask(&mut self.clients, &self.bearer).await {
                Ok(()) => return Ok(1),
                Err(status) if self.is_settled(&status, attempt)? => return Ok(0),
                Err(_) => pause(&mut attempt).await,
            }
        }
    }

    /// Whether a refusal is a decision; else the contract says to repeat with the same request id,
    /// or the measurement is void.
    fn is_settled(&self, status: &Status, attempt: u32) -> Result<bool, Status> {
        let may_repeat = matches!(
            status.code(),
            Code::Aborted | Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
        );
        if status.code() == Code::FailedPrecondition {
            self.tally.count(|counts| counts.rejected += 1);
            return Ok(true);
        }
        if !may_repeat || attempt + 1 >= ATTEMPTS {
            return Err(status.clone());
        }
        self.tally.count(|counts| counts.retried += 1);
        Ok(false)
    }
}

async fn pause(attempt: &mut u32) {
    tokio::time::sleep(PAUSE * (1 << *attempt)).await;
    *attempt += 1;
}

fn another(name: &str) -> Status {
    Status::internal(format!("{name} is not what was asked for"))
}

fn outcome(result: wire::BatchResult) -> Result<wire::Transaction, Status> {
    match result.result {
        Some(Outcome::Transaction(posted)) => Ok(*posted),
        Some(Outcome::Error(status)) => Err(Status::new(status.code.into(), status.message)),
        Some(Outcome::Hold(_) | Outcome::Capture(_)) => Err(another("a hold")),
        None => Err(Status::internal("a result is empty")),
    }
}
