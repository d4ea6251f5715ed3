//! Writes that need a peer, while the peer is away, crashes, hangs, or the caller hangs up.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;
use wire::{account, customer};

use crate::fakes::Failure;
use crate::setup::{Client, World, eventually, new_account, new_customer, uuid_of};

fn assert_away(status: &Status, peer: &str) {
    let (reason, _, figures) = refusal(status);
    assert_eq!((reason, &*figures["peer"]), (Reason::PeerUnavailable, peer));
    assert!(status.get_error_details().retry_info().is_some(), "it says when to come back");
}

/// A customer in a state of which the caller knows the id only.
fn chosen_customer() -> (wire::CreateCustomerRequest, String) {
    let id = Uuid::now_v7().to_string();
    let name = format!("customers/{id}");
    (wire::CreateCustomerRequest { customer_id: id, ..new_customer() }, name)
}

fn chosen_account(customer: &str) -> (wire::CreateAccountRequest, String) {
    let id = Uuid::now_v7().to_string();
    let name = format!("accounts/{id}");
    (wire::CreateAccountRequest { account_id: id, ..new_account(customer) }, name)
}

/// How many intents the ledger has not acknowledged.
fn undelivered(world: &World) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let schema = &world.database.name;
    let count = format!("SELECT count(*) FROM {schema}.ledger_intents WHERE state = 1");
    tokio::task::block_in_place(|| {
        let mut admin = world.database.admin();
        let count: Count = diesel::sql_query(count).get_result(&mut admin).unwrap();
        count.count
    })
}

async fn opened(client: &mut Client, name: &str) -> wire::Account {
    eventually("the opening", async || {
        let account = client.get_account(name).await.unwrap();
        (account.state() == account::State::Open).then_some(account)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_goes_on_where_it_stopped() {
    let world = World::start().await;
    let mut client = world.client();
    let (request, name) = chosen_customer();
    world.records.set(Fault::Cut);
    for _ in 0..2 {
        let refused = client.create_customer(request.clone()).await.unwrap_err();
        assert_away(&refused, "records");
        let pending = client.get_customer(&name).await.unwrap();
        assert_eq!(pending.state(), customer::State::Pending);
        let outcome = client.outcome("create-customer", &request.request_id).await;
        assert_eq!(outcome.state(), outcome::State::InProgress);
    }
    // Nobody opens an account for a customer who is not there yet, and the answer is for good.
    let too_early = new_account(&name);
    for _ in 0..2 {
        let refused = client.create_account(too_early.clone()).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!(reason, Reason::InvalidTransition);
        assert_eq!((&*figures["state"], &*figures["allowed"]), ("PENDING", "ACTIVE"));
    }

    world.records.set(Fault::None);
    let customer = client.create_customer(request.clone()).await.unwrap();
    assert_eq!((customer.state(), &customer.name), (customer::State::Active, &name));
    assert_eq!(world.peers.subjects(), [uuid_of(&name).to_string()]);
    assert_eq!(world.peers.records().len(), 1);
    let outcome = client.outcome("create-customer", &request.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Succeeded);

    let refused = client.create_account(too_early.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::InvalidTransition, "the same id, the same answer");
    let outcome = client.outcome("create-account", &too_early.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Rejected);
    client.account(&name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_of_a_customer_is_made_good() {
    let world = World::start().await;
    let mut client = world.client();
    let steps = [("CreateSubject", false), ("CreateSubject", true)];
    let steps = steps.into_iter().chain([("CreateRecord", false), ("CreateRecord", true)]);
    for (count, (method, after_the_work)) in steps.enumerate() {
        let (request, name) = chosen_customer();
        world.peers.fail(Some(Failure { method, after_the_work }));
        assert_away(&client.create_customer(request.clone()).await.unwrap_err(), "records");
        let pending = client.get_customer(&name).await.unwrap();
        assert_eq!(pending.state(), customer::State::Pending, "{method}");
        world.peers.fail(None);
        let customer = client.create_customer(request).await.unwrap();
        assert_eq!(customer.name, name);
        assert_eq!(customer.state(), customer::State::Active, "{method}");
        assert_eq!(world.peers.subjects().len(), count + 1);
        assert_eq!(world.peers.records().len(), count + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_gives_one_customer_however_often_it_is_asked_at_once() {
    let world = World::start().await;
    world.records.set(Fault::Delay(Duration::from_millis(20)));
    let request = new_customer();
    let ask = async |mut client: Client| {
        eventually("an answer", async || match client.create_customer(request.clone()).await {
            Ok(customer) => Some(customer.name),
            Err(status) => {
                assert_eq!(refusal(&status).0, Reason::RequestInProgress);
                None
            }
        })
        .await
    };
    let mut names = join_all((0..8).map(|_| ask(world.client()))).await;
    names.dedup();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(world.peers.subjects(), [uuid_of(&names[0]).to_string()]);
    assert_eq!(world.peers.records().len(), 1);
    assert_eq!(world.peers.calls("CreateRecord"), 1, "only one of them did the work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_is_somebody_elses_is_not_taken_over() {
    let world = World::start().await;
    let mut client = world.client();
    let (request, name) = chosen_customer();
    world.peers.add_subject(&request.customer_id);
    for _ in 0..2 {
        let refused = client.create_customer(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::IdTaken);
        let customer = client.get_customer(&name).await.unwrap();
        assert_eq!(customer.state(), customer::State::Pending);
    }
    assert!(world.peers.records().is_empty(), "nothing is sealed under a stranger's key");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_the_caller_hangs_up() {
    let world = World::start().await;
    let mut client = world.client();
    let (request, name) = chosen_customer();
    world.records.set(Fault::Stall);
    let mut impatient = client.clone();
    let call = tokio::spawn(async move { impatient.create_customer(request).await });
    eventually("the first step", async || client.get_customer(&name).await.ok()).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    world.records.set(Fault::None);
    eventually("the activation", async || {
        let customer = client.get_customer(&name).await.unwrap();
        (customer.state() == customer::State::Active).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hangs_costs_the_deadline_and_no_more() {
    let world = World::start().await;
    let mut client = world.client();
    let (message, name) = chosen_customer();
    world.records.set(Fault::Stall);
    let mut request = Request::new(message.clone());
    request.set_timeout(Duration::from_millis(500));
    let refused = client.customers.create_customer(request).await.unwrap_err();
    assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused:?}");
    world.records.set(Fault::None);
    // The lease ends with the deadline at the latest.
    let customer =
        eventually("the repeat", async || client.create_customer(message.clone()).await.ok()).await;
    assert_eq!((customer.state(), customer.name), (customer::State::Active, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_opens_what_the_ledger_missed() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    world.transactions.set(Fault::Cut);
    let mut missed = Vec::new();
    for _ in 0..20 {
        let (request, name) = chosen_account(&customer);
        let refused = client.create_account(request.clone()).await.unwrap_err();
        assert_away(&refused, "transactions");
        let pending = client.get_account(&name).await.unwrap();
        assert_eq!(pending.state(), account::State::Pending);
        missed.push((request, name));
    }
    let listed = client.list(0, "", "state = PENDING").await.unwrap();
    assert_eq!(listed.accounts.len(), missed.len());

    world.transactions.set(Fault::None);
    for (request, name) in missed {
        let account = opened(&mut client, &name).await;
        let outcome = client.outcome("create-account", &request.request_id).await;
        assert_eq!(outcome.state(), outcome::State::Succeeded);
        assert_eq!(outcome.resource, name);
        let repeated = client.accounts.create_account(request).await.unwrap();
        assert!(repeated.metadata().contains_key("strongroom-replayed"));
        assert_eq!(repeated.into_inner(), account);
    }
    assert_eq!(world.peers.ledger_accounts().len(), 20);
    assert_eq!(undelivered(&world), 0, "the reconciler has nothing left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_registration_is_made_good() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let (request, name) = chosen_account(&customer);
    let failure = Failure { method: "RegisterLedgerAccount", after_the_work: true };
    world.peers.fail(Some(failure));
    assert_away(&client.create_account(request).await.unwrap_err(), "transactions");
    assert_eq!(world.peers.ledger_accounts().len(), 1, "the ledger has it, and nobody here knows");
    world.peers.fail(None);
    opened(&mut client, &name).await;
    assert_eq!(world.peers.ledger_accounts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_finds_its_work_after_a_restart_and_ends_on_shutdown() {
    let mut world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    world.transactions.set(Fault::Cut);
    let (request, name) = chosen_account(&customer);
    assert_away(&client.create_account(request).await.unwrap_err(), "transactions");
    world.restart().await;
    world.transactions.set(Fault::None);
    opened(&mut world.client(), &name).await;
}
