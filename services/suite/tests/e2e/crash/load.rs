//! Many callers, each with one thing after the other until the first failure: transfers, holds with
//! captures and releases, and batches of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome};
use strongroom_proto::transactions::v1 as wire;
use suite::Clients;
use tokio::task::JoinSet;
use tonic::{Response, Status};
use wire::batch_item::Operation;
use wire::hold_service_client::HoldServiceClient;

use crate::child::Child;
use crate::wire::{eur, is_replay, request_id, transfer};

const CALLERS: usize = 24;

/// The ways to one running service.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) clients: Clients,
    holds: HoldServiceClient<suite::Api>,
}

impl Api {
    pub(super) fn of(child: &Child) -> Self {
        let clients = Clients::new(child.at, None).unwrap();
        let holds = HoldServiceClient::new(clients.api(child.at.transactions).unwrap());
        Self { clients, holds }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Transfer(wire::CreateTransferRequest),
    Hold(wire::CreateHoldRequest),
    Capture(wire::CaptureHoldRequest),
    Release(wire::ReleaseHoldRequest),
    Batch(wire::ExecuteBatchRequest),
}

/// Something that was asked for, and what its caller knows of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// Which account it pays.
    pub(super) account: usize,
    /// How many cents it pays if it happens.
    pub(super) cents: i64,
    /// What it made, or why the caller does not know; a batch has no name.
    pub(super) answer: Result<Option<String>, Status>,
}

impl Asked {
    /// While Postgres is away a caller learns that it should ask again, and nothing worse.
    pub(super) fn assert_told_to_repeat(&self) {
        if let Err(status) = &self.answer {
            let (reason, ..) = refusal(status);
            let is_told = matches!(reason, Reason::DatabaseUnavailable | Reason::Deadline);
            assert!(is_told, "{reason:?}: {status:?}");
        }
    }
}

impl Request {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Transfer(_) => "create-transaction",
            Self::Hold(_) => "create-hold",
            Self::Capture(_) => "capture-hold",
            Self::Release(_) => "release-hold",
            Self::Batch(_) => "execute-batch",
        }
    }

    pub(super) fn request_id(&self) -> &str {
        match self {
            Self::Transfer(request) => &request.request_id,
            Self::Hold(request) => &request.request_id,
            Self::Capture(request) => &request.request_id,
            Self::Release(request) => &request.request_id,
            Self::Batch(request) => &request.request_id,
        }
    }

    /// Sends it, and gives the name of what it made and whether it had before.
    pub(super) async fn send(&self, api: &Api) -> Result<(Option<String>, bool), Status> {
        fn read<T>(
            answer: Response<T>,
            name: impl FnOnce(T) -> Option<String>,
        ) -> (Option<String>, bool) {
            let is_replay = is_replay(&answer);
            (name(answer.into_inner()), is_replay)
        }
        let (mut transactions, mut holds) = (api.clients.transactions.clone(), api.holds.clone());
        match self.clone() {
            Self::Transfer(request) => {
                let answer = transactions.create_transfer(request).await?;
                Ok(read(answer, |transaction| Some(transaction.name)))
            }
            Self::Hold(request) => {
                Ok(read(holds.create_hold(request).await?, |hold| Some(hold.name)))
            }
            Self::Capture(request) => {
                let answer = holds.capture_hold(request).await?;
                Ok(read(answer, |capture| capture.transaction.map(|one| one.name)))
            }
            Self::Release(request) => {
                Ok(read(holds.release_hold(request).await?, |hold| Some(hold.name)))
            }
            Self::Batch(request) => Ok(read(transactions.execute_batch(request).await?, |_| None)),
        }
    }

    /// What became of it, for good.
    pub(super) async fn settled(&self, api: &Api) -> Result<Outcome, Status> {
        let asked = GetOutcomeRequest {
            operation: self.operation().to_owned(),
            request_id: self.request_id().to_owned(),
            fence: true,
        };
        let mut outcomes = api.clients.transactions_outcomes.clone();
        Ok(outcomes.get_outcome(asked).await?.into_inner())
    }
}

/// Loads a service, the first of the accounts being the house, and has something happen in the
/// middle.
pub(super) async fn load(
    api: &Api,
    accounts: &[String],
    before: usize,
    interrupt: impl FnOnce(),
) -> Vec<Asked> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let account = 1 + caller % (accounts.len() - 1);
        let caller = Caller {
            api: api.clone(),
            house: accounts[0].clone(),
            destination: accounts[account].clone(),
            account,
            asked: Vec::new(),
            acknowledged: Arc::clone(&acknowledged),
        };
        callers.spawn(caller.run());
    }
    while acknowledged.load(Ordering::Relaxed) < before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    interrupt();
    callers.join_all().await.into_iter().flatten().collect()
}

struct Caller {
    api: Api,
    house: String,
    destination: String,
    account: usize,
    asked: Vec<Asked>,
    acknowledged: Arc<AtomicUsize>,
}

impl Caller {
    async fn run(mut self) -> Vec<Asked> {
        while self.cycle().await.is_some() {}
        self.asked
    }

    /// Asks for each of the things once; nothing after a failure.
    async fn cycle(&mut self) -> Option<()> {
        let (house, destination) = (self.house.clone(), self.destination.clone());
        self.ask(Request::Transfer(transfer(&house, &destination, "0.01")), 1).await?;
        let hold = self.ask(Request::Hold(hold(&house, &destination, "0.03")), 0).await??;
        self.ask(Request::Capture(capture(&hold, "0.01")), 1).await?;
        self.ask(Request::Batch(batch(&house, &destination)), 5).await?;
        // Half of the holds stay open with what is left.
        if self.asked.len().is_multiple_of(2) {
            self.ask(Request::Capture(capture(&hold, "0.01")), 1).await?;
            self.ask(Request::Release(release(&hold)), 0).await?;
        }
        Some(())
    }

    async fn ask(&mut self, request: Request, cents: i64) -> Option<Option<String>> {
        let answer = request.send(&self.api).await.map(|(name, _)| name);
        let known = answer.as_ref().ok().cloned();
        self.asked.push(Asked { request, account: self.account, cents, answer });
        self.acknowledged.fetch_add(usize::from(known.is_some()), Ordering::Relaxed);
        known
    }
}

fn hold(account: &str, destination: &str, amount: &str) -> wire::CreateHoldRequest {
    let hold = wire::Hold {
        account: account.to_owned(),
        destination: destination.to_owned(),
        amount: Some(eur(amount)),
        ..wire::Hold::default()
    };
    wire::CreateHoldRequest {
        hold: Some(hold),
        request_id: request_id(),
        ..wire::CreateHoldRequest::default()
    }
}

fn capture(hold: &str, amount: &str) -> wire::CaptureHoldRequest {
    wire::CaptureHoldRequest {
        name: hold.to_owned(),
        amount: Some(eur(amount)),
        keep_open: true,
        request_id: request_id(),
        ..wire::CaptureHoldRequest::default()
    }
}

fn release(hold: &str) -> wire::ReleaseHoldRequest {
    wire::ReleaseHoldRequest {
        name: hold.to_owned(),
        request_id: request_id(),
        ..wire::ReleaseHoldRequest::default()
    }
}

/// Pays 2 cents, holds 4, and captures 3 of these.
fn batch(house: &str, destination: &str) -> wire::ExecuteBatchRequest {
    let id = request_id();
    let held = format!("holds/{id}");
    let operations = [
        Operation::Transfer(transfer(house, destination, "0.02")),
        Operation::Hold(wire::CreateHoldRequest {
            hold_id: id,
            ..hold(house, destination, "0.04")
        }),
        Operation::Capture(capture(&held, "0.03")),
    ];
    let alone = |mut operation: Operation| {
        match &mut operation {
            Operation::Transfer(request) => request.request_id.clear(),
            Operation::Hold(request) => request.request_id.clear(),
            Operation::Capture(request) => request.request_id.clear(),
            _ => {}
        }
        wire::BatchItem { operation: Some(operation) }
    };
    wire::ExecuteBatchRequest {
        items: operations.map(alone).into(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..wire::ExecuteBatchRequest::default()
    }
}
