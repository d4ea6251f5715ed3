//! Request ids: once, whatever is repeated.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome};
use strongroom_proto::transactions::v1 as wire;

use crate::setup::{Client, Ledger, eur, request_id, transfer};

async fn outcome(client: &mut Client, request_id: &str, fence: bool) -> Outcome {
    let request = GetOutcomeRequest {
        operation: "create-transaction".to_owned(),
        request_id: request_id.to_owned(),
        fence,
    };
    client.outcomes.get_outcome(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_and_moves_nothing() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut request = transfer(&account, &house, "2.5");
    let first = client.transactions.create_transfer(request.clone()).await.unwrap();
    assert!(first.metadata().get("strongroom-replayed").is_none());
    // Another spelling of the same amount is the same request.
    request.amount = Some(eur("2.50"));
    let again = client.transactions.create_transfer(request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    let first = first.into_inner();
    assert_eq!(again.into_inner(), first);
    assert_eq!(client.posted(&account).await, "7.50");

    request.amount = Some(eur("2.51"));
    let reused = client.transactions.create_transfer(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&reused).0, Reason::RequestIdReused);
    let found = outcome(&mut client, &request.request_id, false).await;
    assert_eq!((found.state(), found.resource), (State::Succeeded, first.name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_frozen_and_a_mistake_is_not() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1").await;
    let request = transfer(&account, &house, "2");
    let first = client.transactions.create_transfer(request.clone()).await.unwrap_err();
    client.pay(&house, &account, "5").await.unwrap();
    // There is money now, but the request was decided.
    let again = client.transactions.create_transfer(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&again).0, Reason::InsufficientFunds);
    assert_eq!(refusal(&first).2["shortfall"], refusal(&again).2["shortfall"]);
    let found = outcome(&mut client, &request.request_id, false).await;
    assert_eq!((found.state(), found.reason()), (State::Rejected, Reason::InsufficientFunds));
    assert_eq!(found.figures["shortfall"], "1.00");

    // An unknown account is a mistake: the id stays free.
    let mut request = transfer(&account, &format!("accounts/{}", uuid::Uuid::now_v7()), "1");
    assert!(client.transactions.create_transfer(request.clone()).await.is_err());
    assert_eq!(outcome(&mut client, &request.request_id, false).await.state(), State::Unknown);
    request.to = house;
    client.transactions.create_transfer(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_id_refuses_its_late_original() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1").await;
    let request = transfer(&account, &house, "1");
    assert_eq!(outcome(&mut client, &request.request_id, true).await.state(), State::Unknown);
    let late = client.transactions.create_transfer(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&late).0, Reason::RequestIdReused);
    assert_eq!(outcome(&mut client, &request.request_id, true).await.state(), State::Unknown);
    assert_eq!(client.posted(&account).await, "1.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_from_many_connections_posts_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut request = transfer(&account, &house, "1");
    request.request_id = request_id();
    let mut repeats = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (mut client, request) = (ledger.client(), request.clone());
        repeats.spawn(async move { client.transactions.create_transfer(request).await });
    }
    let answers = repeats.join_all().await;
    let names: std::collections::BTreeSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().into_inner().name).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(client.posted(&account).await, "99.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_registration_without_an_id_makes_one_account() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let mut request = wire::RegisterLedgerAccountRequest {
        account: Some(wire::LedgerAccount {
            currency: "EUR".to_owned(),
            class: wire::AccountClass::Liability.into(),
            ..Default::default()
        }),
        request_id: request_id(),
        ..Default::default()
    };
    let first = client.ledger.register_ledger_account(request.clone()).await.unwrap();
    let again = client.ledger.register_ledger_account(request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner().name, first.into_inner().name);
    request.account_id = uuid::Uuid::now_v7().to_string();
    let reused = client.ledger.register_ledger_account(request).await.unwrap_err();
    assert_eq!(refusal(&reused).0, Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_does_not_exist_cannot_be_fenced() {
    let ledger = Ledger::start().await;
    let request = GetOutcomeRequest {
        operation: "create-transfer".to_owned(),
        request_id: request_id(),
        fence: true,
    };
    let refused = ledger.client().outcomes.get_outcome(request).await.unwrap_err();
    let (reason, field, _) = refusal(&refused);
    assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "operation"));
}
