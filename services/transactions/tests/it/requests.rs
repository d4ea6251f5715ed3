//! What tests ask for beside transfers, and how they read a refusal.

use std::collections::HashMap;

use shared::problem::Reason;
use shared::testing::refusal;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;

use crate::setup::{Client, eur, request_id};

/// A hold that captures pay to a destination; none where it is empty.
pub(crate) fn hold(account: &str, destination: &str, amount: &str) -> wire::CreateHoldRequest {
    let hold = wire::Hold {
        account: account.to_owned(),
        destination: destination.to_owned(),
        amount: Some(eur(amount)),
        ..Default::default()
    };
    wire::CreateHoldRequest { hold: Some(hold), request_id: request_id(), ..Default::default() }
}

/// A capture of all that remains.
pub(crate) fn capture(hold: &str) -> wire::CaptureHoldRequest {
    wire::CaptureHoldRequest {
        name: hold.to_owned(),
        request_id: request_id(),
        ..Default::default()
    }
}

/// A release of all that remains.
pub(crate) fn release(hold: &str) -> wire::ReleaseHoldRequest {
    wire::ReleaseHoldRequest {
        name: hold.to_owned(),
        request_id: request_id(),
        ..Default::default()
    }
}

/// Another expiry, or none.
pub(crate) fn extend(hold: &str, expire_time: Option<Timestamp>) -> wire::ExtendHoldRequest {
    wire::ExtendHoldRequest {
        name: hold.to_owned(),
        expire_time: expire_time.map(Timestamp::encode),
        request_id: request_id(),
        validate_only: false,
    }
}

pub(crate) fn increase(hold: &str, amount: &str) -> wire::IncreaseHoldRequest {
    wire::IncreaseHoldRequest {
        name: hold.to_owned(),
        amount: Some(eur(amount)),
        request_id: request_id(),
        ..Default::default()
    }
}

/// A reversal of everything.
pub(crate) fn reversal(transaction: &str) -> wire::ReverseTransactionRequest {
    wire::ReverseTransactionRequest {
        name: transaction.to_owned(),
        request_id: request_id(),
        ..Default::default()
    }
}

/// The rules with a reason.
#[expect(clippy::unnecessary_wraps, reason = "every field for it is optional")]
pub(crate) fn force(rules: &[wire::Override]) -> Option<wire::Force> {
    let overrides = rules.iter().map(|rule| (*rule).into()).collect();
    Some(wire::Force { overrides, reason: "late presentment".to_owned() })
}

/// Why something was refused, and its figures.
pub(crate) fn why<T>(answer: Result<T, Status>) -> (Reason, HashMap<String, String>) {
    let Err(status) = answer else { panic!("it was not refused") };
    let (reason, _, figures) = refusal(&status);
    (reason, figures)
}

/// The same with the field instead of the figures.
pub(crate) fn field<T>(answer: Result<T, Status>) -> (Reason, String) {
    let Err(status) = answer else { panic!("it was not refused") };
    let (reason, field, _) = refusal(&status);
    (reason, field)
}

/// Whether figures are these, and maybe others.
pub(crate) fn assert_figures(found: &HashMap<String, String>, expected: &[(&str, &str)]) {
    for (name, figure) in expected {
        assert_eq!(found.get(*name).map(String::as_str), Some(*figure), "{name} of {found:?}");
    }
}

impl Client {
    pub(crate) async fn hold(
        &mut self,
        request: &wire::CreateHoldRequest,
    ) -> Result<wire::Hold, Status> {
        self.holds.create_hold(request.clone()).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn capture(
        &mut self,
        request: &wire::CaptureHoldRequest,
    ) -> Result<wire::CaptureHoldResponse, Status> {
        self.holds.capture_hold(request.clone()).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn release(
        &mut self,
        request: &wire::ReleaseHoldRequest,
    ) -> Result<wire::Hold, Status> {
        self.holds.release_hold(request.clone()).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn extend(
        &mut self,
        request: &wire::ExtendHoldRequest,
    ) -> Result<wire::Hold, Status> {
        self.holds.extend_hold(request.clone()).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn increase(
        &mut self,
        request: &wire::IncreaseHoldRequest,
    ) -> Result<wire::Hold, Status> {
        self.holds.increase_hold(request.clone()).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn read_hold(&mut self, name: &str) -> wire::Hold {
        let request = wire::GetHoldRequest { name: name.to_owned() };
        self.holds.get_hold(request).await.unwrap().into_inner()
    }

    pub(crate) async fn reverse(
        &mut self,
        request: &wire::ReverseTransactionRequest,
    ) -> Result<wire::Transaction, Status> {
        self.transactions
            .reverse_transaction(request.clone())
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn transfer(
        &mut self,
        request: &wire::CreateTransferRequest,
    ) -> Result<wire::Transaction, Status> {
        self.transactions.create_transfer(request.clone()).await.map(tonic::Response::into_inner)
    }

    /// What is posted, held and available, without their currency.
    pub(crate) async fn figures(&mut self, account: &str) -> [String; 3] {
        let balance = self.balance(account).await;
        [balance.posted, balance.held, balance.available]
            .map(|money| money.map_or(String::new(), |money| money.amount))
    }
}
