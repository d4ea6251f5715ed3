//! What callers want of an account before and after a posting.

use shared::problem::Reason;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};

use crate::requests::{assert_figures, field, force, hold, why};
use crate::setup::{Client, Ledger, entry, eur, request_id};

/// A debit and a credit of the same amount, as they are to be changed.
fn payment(from: &str, to: &str, amount: &str) -> wire::CreateTransactionRequest {
    let entries = vec![entry(from, Debit, eur(amount)), entry(to, Credit, eur(amount))];
    let transaction =
        wire::Transaction { r#type: "TEST".to_owned(), entries, ..Default::default() };
    wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    }
}

fn line(request: &mut wire::CreateTransactionRequest, index: usize) -> &mut wire::Entry {
    &mut request.transaction.as_mut().unwrap().entries[index]
}

async fn post(
    client: &mut Client,
    request: &wire::CreateTransactionRequest,
) -> Result<wire::Transaction, tonic::Status> {
    let posted = client.transactions.create_transaction(request.clone()).await;
    posted.map(tonic::Response::into_inner)
}

async fn outcome(client: &mut Client, request_id: &str) -> State {
    let request = GetOutcomeRequest {
        operation: "create-transaction".to_owned(),
        request_id: request_id.to_owned(),
        fence: false,
    };
    client.outcomes.get_outcome(request).await.unwrap().into_inner().state()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posting_may_ask_for_a_version_and_its_refusal_is_not_frozen() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let version = client.balance(&account).await.version;
    let mut request = payment(&account, &house, "1");
    line(&mut request, 0).expected_version = version + 1;
    for _ in 0..2 {
        let (reason, figures) = why(post(&mut client, &request).await);
        assert_eq!(reason, Reason::VersionMismatch);
        let (found, wanted) = (version.to_string(), (version + 1).to_string());
        let expected = [("account", account.as_str()), ("version", &found), ("expected", &wanted)];
        assert_figures(&figures, &expected);
        assert_eq!(figures["entry"], "0");
        assert_eq!(outcome(&mut client, &request.request_id).await, State::Unknown);
    }
    // A hold is a change of the account too; now it has the version, and the id is still free.
    client.hold(&hold(&account, &house, "10")).await.unwrap();
    let posted = post(&mut client, &request).await.unwrap();
    assert_eq!(posted.entries[0].expected_version, 0, "it is not part of what was posted");
    assert_eq!(outcome(&mut client, &request.request_id).await, State::Succeeded);
    // And the same request is a repeat, whatever the version has become.
    assert_eq!(post(&mut client, &request).await.unwrap(), posted);
    line(&mut request, 0).expected_version = 0;
    assert_eq!(why(post(&mut client, &request).await).0, Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_that_before_the_transaction_for_all_its_entries() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let version = client.balance(&account).await.version;
    let mut request = payment(&account, &house, "1");
    let transaction = request.transaction.as_mut().unwrap();
    transaction.entries.extend(transaction.entries.clone());
    for index in [0, 2] {
        line(&mut request, index).expected_version = version;
    }
    post(&mut client, &request).await.unwrap();
    let mut negative = payment(&account, &house, "1");
    line(&mut negative, 1).expected_version = -1;
    assert_eq!(
        field(post(&mut client, &negative).await),
        (Reason::FieldInvalid, "transaction.entries[1].expected_version".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_callers_with_one_version_one_passes() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let version = client.balance(&account).await.version;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..20_usize {
        let (mut client, mut request) = (clients[n % 2].clone(), payment(&account, &house, "1"));
        line(&mut request, 0).expected_version = version;
        callers.spawn(async move { post(&mut client, &request).await });
    }
    let mut passed = 0;
    for answer in callers.join_all().await {
        match answer {
            Ok(_) => passed += 1,
            refused => assert_eq!(why(refused).0, Reason::VersionMismatch),
        }
    }
    assert_eq!(passed, 1);
    assert_eq!(client.posted(&account).await, "99.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posting_may_ask_for_what_is_left() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    client.hold(&hold(&account, &house, "10")).await.unwrap();
    let mut request = payment(&account, &house, "50");
    line(&mut request, 0).min_available_after = Some(eur("40.01"));
    let (reason, figures) = why(post(&mut client, &request).await);
    assert_eq!(reason, Reason::BalancePrecondition);
    assert_figures(
        &figures,
        &[("account", &account), ("required", "40.01"), ("available", "40.00"), ("entry", "0")],
    );
    assert_eq!(figures["currency"], "EUR");
    let mut blind = ledger.client_of(ledger.tenant, &["transactions.transactions.create"]);
    assert!(!why(post(&mut blind, &request).await).1.contains_key("available"));
    assert_eq!(outcome(&mut client, &request.request_id).await, State::Unknown);
    // No override is about what the caller itself wants.
    request.transaction.as_mut().unwrap().force = force(&[
        wire::Override::Funds,
        wire::Override::Limits,
        wire::Override::Controls,
        wire::Override::HoldExpired,
    ]);
    assert_eq!(why(post(&mut client, &request).await).0, Reason::BalancePrecondition);
    request.transaction.as_mut().unwrap().force = None;
    client.pay(&house, &account, "0.01").await.unwrap();
    post(&mut client, &request).await.unwrap();

    // For an account without a bound it is what it has of its own.
    let mut request = payment(&account, &house, "1");
    line(&mut request, 1).min_available_after = Some(eur("-49.00"));
    let (reason, figures) = why(post(&mut client, &request).await);
    assert_eq!((reason, &*figures["available"]), (Reason::BalancePrecondition, "-49.01"));
    line(&mut request, 1).min_available_after = Some(eur("-49.01"));
    post(&mut client, &request).await.unwrap();

    let mut foreign = payment(&account, &house, "1");
    line(&mut foreign, 0).min_available_after = Some(strongroom_proto::common::v1::Money {
        currency: "USD".to_owned(),
        amount: "1".to_owned(),
    });
    assert_eq!(
        field(post(&mut client, &foreign).await),
        (
            Reason::CurrencyMismatch,
            "transaction.entries[0].min_available_after.currency".to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_batch_sees_the_versions_of_the_ones_before_it() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let version = client.balance(&account).await.version;
    let item = |expected: i64| {
        let mut request = payment(&account, &house, "1");
        request.request_id.clear();
        line(&mut request, 0).expected_version = expected;
        let operation = Some(wire::batch_item::Operation::Transaction(request));
        wire::BatchItem { operation }
    };
    let mut request = wire::ExecuteBatchRequest {
        items: vec![item(version), item(version)],
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let (reason, figures) = why(client.transactions.execute_batch(request.clone()).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::VersionMismatch, "1"));
    // The batch's id is free as well.
    request.items[1] = item(version + 1);
    client.transactions.execute_batch(request).await.unwrap();
    assert_eq!(client.posted(&account).await, "98.00");
}
