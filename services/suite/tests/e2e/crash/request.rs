//! What is asked for, and the way to ask for it.

use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome};
use strongroom_proto::transactions::v1 as wire;
use suite::Clients;
use tonic::{Response, Status};
use wire::batch_item::Operation;
use wire::hold_service_client::HoldServiceClient;

use crate::child::Child;
use crate::wire::{eur, is_replay, request_id, transfer};

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

pub(super) fn hold(account: &str, destination: &str, amount: &str) -> wire::CreateHoldRequest {
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

pub(super) fn capture(hold: &str, amount: &str) -> wire::CaptureHoldRequest {
    wire::CaptureHoldRequest {
        name: hold.to_owned(),
        amount: Some(eur(amount)),
        keep_open: true,
        request_id: request_id(),
        ..wire::CaptureHoldRequest::default()
    }
}

pub(super) fn release(hold: &str) -> wire::ReleaseHoldRequest {
    wire::ReleaseHoldRequest {
        name: hold.to_owned(),
        request_id: request_id(),
        ..wire::ReleaseHoldRequest::default()
    }
}

/// Pays 2 cents, holds 4, and captures 3 of these.
pub(super) fn batch(house: &str, destination: &str) -> wire::ExecuteBatchRequest {
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
