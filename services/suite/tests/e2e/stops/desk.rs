//! Somebody with customers and their accounts, who looks at both sides.

use std::collections::HashMap;
use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::transactions::v1 as wire;
use suite::{Addresses, Api, Clients};
use tonic::{Response, Status};
use wire::books_service_client::BooksServiceClient;
use wire::hold_service_client::HoldServiceClient;
use wire::ledger_service_client::LedgerServiceClient;

use super::act::{Act, open, passport, submission};
use crate::wire::{customer, send, source, transfer};
use crate::world::now;

/// Looks for something that comes by itself, and the pause between two.
const LOOKS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(50);

/// Waits for something that comes by itself.
pub(super) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..LOOKS {
        if condition().await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{what} does not come");
}

#[derive(Clone)]
pub(super) struct Desk {
    pub(super) clients: Clients,
    pub(super) ledger: LedgerServiceClient<Api>,
    pub(super) holds: HoldServiceClient<Api>,
    pub(super) books: BooksServiceClient<Api>,
    /// From which all money comes, without a bound.
    pub(super) house: String,
}

impl Desk {
    pub(super) async fn of(clients: &Clients, at: Addresses) -> Self {
        let api = || clients.api(at.transactions).unwrap();
        Self {
            ledger: LedgerServiceClient::new(api()),
            holds: HoldServiceClient::new(api()),
            books: BooksServiceClient::new(api()),
            house: source(clients).await,
            clients: clients.clone(),
        }
    }

    pub(super) async fn customer(&self) -> String {
        let created = self.clients.customers.clone().create_customer(customer()).await;
        created.unwrap().into_inner().name
    }

    /// Begins to look at who a customer is.
    pub(super) async fn submit(&self, name: &str) {
        let mut customers = self.clients.customers.clone();
        let asked = accounts::GetCustomerRequest { name: name.to_owned(), ..Default::default() };
        let subject = customers.get_customer(asked).await.unwrap().into_inner().subject;
        let record = self.clients.records.clone().create_record(passport(subject)).await;
        let submit = submission(name, &record.unwrap().into_inner().name);
        customers.submit_kyc(submit).await.unwrap();
    }

    /// Does something that nothing stands against.
    pub(super) async fn act(&self, act: &Act) -> String {
        act.send(&self.clients).await.unwrap().0
    }

    /// Opens an account with this much on it.
    pub(super) async fn account(&self, customer: &str, amount: &str) -> String {
        let (act, name) = open(customer);
        assert_eq!(self.act(&act).await, name);
        self.pay(&self.house, &name, amount).await.unwrap();
        name
    }

    pub(super) async fn pay(&self, from: &str, to: &str, amount: &str) -> Result<String, Status> {
        let paid = send(&self.clients, transfer(from, to, amount)).await;
        paid.map(|paid| paid.into_inner().name)
    }

    /// Asserts that a cent does not go from one to the other because of a block, and gives its
    /// figures.
    pub(super) async fn assert_blocked(&self, from: &str, to: &str) -> HashMap<String, String> {
        let refused = self.pay(from, to, "0.01").await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!(reason, Reason::AccountBlocked, "{from} to {to}: {refused:?}");
        figures
    }

    /// An account as accounts has it.
    pub(super) async fn get(&self, name: &str) -> accounts::Account {
        let request = accounts::GetAccountRequest { name: name.to_owned() };
        self.clients.accounts.clone().get_account(request).await.unwrap().into_inner()
    }

    /// An account as the ledger has it, if it has it.
    pub(super) async fn find(&self, name: &str) -> Option<wire::LedgerAccount> {
        let request = wire::GetLedgerAccountRequest { name: name.to_owned() };
        match self.ledger.clone().get_ledger_account(request).await.map(Response::into_inner) {
            Ok(found) => Some(found),
            Err(status) if refusal(&status).0 == Reason::ResourceNotFound => None,
            Err(status) => panic!("{status:?}"),
        }
    }

    /// What accounts has the ledger enforce.
    pub(super) async fn controls(&self, name: &str) -> wire::Controls {
        let controls = self.find(name).await.unwrap().controls;
        controls.into_iter().find(|controls| controls.source == "accounts").unwrap()
    }

    /// The latest entries of an account.
    pub(super) async fn entries(&self, account: &str) -> Vec<wire::AccountEntry> {
        let request = wire::ListEntriesRequest {
            account: account.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        self.clients.balances.clone().list_entries(request).await.unwrap().into_inner().entries
    }

    /// The accounts of which the ledger has not heard everything.
    pub(super) async fn undelivered(&self) -> Vec<String> {
        let request = accounts::ListUndeliveredControlsRequest::default();
        let listed = self.clients.accounts.clone().list_undelivered_controls(request).await;
        let all = listed.unwrap().into_inner().undelivered_controls;
        all.into_iter().map(|one| one.account).collect()
    }

    /// What became of something.
    pub(super) async fn state(&self, act: &Act) -> State {
        let request = GetOutcomeRequest {
            operation: act.operation().to_owned(),
            request_id: act.request_id().to_owned(),
            fence: false,
        };
        let mut outcomes = self.clients.accounts_outcomes.clone();
        outcomes.get_outcome(request).await.unwrap().into_inner().state()
    }

    /// Whether both sides have the same of an account.
    pub(super) async fn agrees(&self, name: &str) -> bool {
        let account = self.get(name).await;
        let effect = account.effect.clone().unwrap();
        let Some(found) = self.find(name).await else { return false };
        let controls = self.controls(name).await;
        let is_closed = account.state() == accounts::account::State::Closed;
        let now = i64::try_from(now()).unwrap();
        let has_begun = |start: prost_types::Timestamp| start.seconds <= now;
        let blocks = controls.blocks.iter().filter(|block| block.start_time.is_none_or(has_begun));
        let forbids = |one| {
            let about = [one, wire::block::Effect::All];
            blocks.clone().any(|block| about.contains(&block.effect()) && block.amount.is_none())
        };
        effect.version == effect.acknowledged_version
            && effect.version == controls.version
            && account.limits == controls.limits
            && effect.debits != forbids(wire::block::Effect::Debit)
            && effect.credits != forbids(wire::block::Effect::Credit)
            && is_closed == (found.state() == wire::ledger_account::State::Closed)
    }

    /// Nothing is wrong in the books.
    pub(super) async fn assert_books(&self) {
        let request = wire::VerifyBooksRequest::default();
        let mut books = self.books.clone();
        let mut answers = books.verify_books(request).await.unwrap().into_inner();
        let mut done = false;
        while let Some(answer) = answers.message().await.unwrap() {
            assert_eq!(answer.mismatches, []);
            done = answer.done;
        }
        assert!(done);
    }
}
