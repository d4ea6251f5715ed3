//! Services whose peers are away: what needs no peer works, what needs one says so, and nothing is
//! half done when the peer is back.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;
use strongroom_proto::outcomes::v1::outcome::State as OutcomeState;
use strongroom_proto::transactions::v1::AccountClass;
use suite::Clients;
use tonic::Code;

use crate::trio::Trio;
use crate::wire::{account, cents, customer, is_replay, open, send, source, transfer};
use crate::world::run;

/// `accounts/{uuid}` of a request that chooses its id.
fn name(request: &accounts::CreateAccountRequest) -> String {
    format!("accounts/{}", request.account_id)
}

async fn state(clients: &Clients, name: &str) -> accounts::account::State {
    let request = accounts::GetAccountRequest { name: name.to_owned() };
    clients.accounts.clone().get_account(request).await.unwrap().into_inner().state()
}

/// Waits for what happens by itself.
async fn until_open(clients: &Clients, name: &str) {
    for _ in 0..600 {
        if state(clients, name).await == accounts::account::State::Open {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} does not open");
}

#[test]
fn without_accounts_the_ledger_goes_on() {
    run(async {
        let trio = Trio::start(&[]).await;
        let clients = trio.newcomer();
        let (house, known) =
            (source(&clients).await, open(&clients, AccountClass::Liability).await);
        // An account that accounts has, and that has not reached the ledger.
        trio.to_transactions.set(Fault::Cut);
        let request = account(AccountClass::Liability);
        let created = clients.accounts.clone().create_account(request.clone()).await;
        assert_eq!(refusal(&created.unwrap_err()).0, Reason::PeerUnavailable);

        trio.to_accounts.set(Fault::Cut);
        send(&clients, transfer(&house, &known, "1.00")).await.unwrap();
        let unknown = transfer(&house, &name(&request), "2.00");
        let refused = send(&clients, unknown.clone()).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, figures["peer"].as_str()), (Reason::PeerUnavailable, "accounts"));

        // A created account never refuses money, though nobody has told the ledger yet.
        trio.to_accounts.set(Fault::None);
        send(&clients, unknown).await.unwrap();
        assert_eq!(cents(&clients, &name(&request)).await, 200);
        assert_eq!(cents(&clients, &house).await, -300);
        assert_eq!(state(&clients, &name(&request)).await, accounts::account::State::Pending);
        trio.to_transactions.set(Fault::None);
        until_open(&clients, &name(&request)).await;
        assert_eq!(cents(&clients, &name(&request)).await, 200);
    });
}

#[test]
fn without_the_ledger_an_account_opens_later_by_itself() {
    run(async {
        let trio = Trio::start(&[]).await;
        let clients = trio.newcomer();
        trio.to_transactions.set(Fault::Cut);
        let request = account(AccountClass::Liability);
        let refused = clients.accounts.clone().create_account(request.clone()).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, figures["peer"].as_str()), (Reason::PeerUnavailable, "transactions"));
        assert_eq!(state(&clients, &name(&request)).await, accounts::account::State::Pending);

        trio.to_transactions.set(Fault::None);
        until_open(&clients, &name(&request)).await;
        let repeated = clients.accounts.clone().create_account(request.clone()).await.unwrap();
        assert!(is_replay(&repeated));
        assert_eq!(repeated.into_inner().name, name(&request));
        assert_eq!(cents(&clients, &name(&request)).await, 0);
    });
}

#[test]
fn without_records_a_customer_waits_for_the_repeat() {
    run(async {
        let trio = Trio::start(&[]).await;
        let clients = trio.newcomer();
        trio.to_records.set(Fault::Cut);
        let request = customer();
        let refused = clients.customers.clone().create_customer(request.clone()).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, figures["peer"].as_str()), (Reason::PeerUnavailable, "records"));
        // What needs no records goes on.
        open(&clients, AccountClass::Asset).await;

        trio.to_records.set(Fault::None);
        let created = clients.customers.clone().create_customer(request.clone()).await.unwrap();
        let created = created.into_inner();
        assert_eq!(created.state(), accounts::customer::State::Active);
        let repeated = clients.customers.clone().create_customer(request).await.unwrap();
        assert!(is_replay(&repeated));
        assert_eq!(repeated.into_inner().name, created.name);
    });
}

#[test]
fn a_peer_that_hangs_costs_no_more_than_the_deadline() {
    run(async {
        let trio = Trio::start(&[]).await;
        let clients = trio.newcomer();
        open(&clients, AccountClass::Asset).await;
        trio.to_transactions.set(Fault::Stall);
        let request = account(AccountClass::Liability);
        let mut asked = tonic::Request::new(request.clone());
        asked.set_timeout(Duration::from_secs(1));
        let refused = clients.accounts.clone().create_account(asked).await.unwrap_err();
        // Whose clock says so first, the service's or the client's own, is chance.
        assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused:?}");
        trio.to_transactions.set(Fault::None);
        until_open(&clients, &name(&request)).await;
        let asked = GetOutcomeRequest {
            operation: "create-account".to_owned(),
            request_id: request.request_id,
            fence: false,
        };
        let outcome = clients.accounts_outcomes.clone().get_outcome(asked).await.unwrap();
        assert_eq!(outcome.into_inner().state(), OutcomeState::Succeeded);
    });
}
