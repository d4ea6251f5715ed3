//! Every method that writes: once for each request id, without a trace where it is only validated,
//! and with figures for those alone who may see them.

use shared::problem::Reason;
use shared::time::Timestamp;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;
use strongroom_proto::outcomes::v1::outcome::State as OutcomeState;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Response, Status};
use wire::hold::State;

use crate::requests::{capture, extend, field, hold, increase, release, reversal, why};
use crate::setup::{Client, Ledger, eur, transfer};

/// Some time that no test reaches.
const LATER: Timestamp = Timestamp::from_micros(4_000_000_000_000_000);

type Answer<T> = Result<Response<T>, Status>;

fn is_replayed<T>(answer: &Response<T>) -> bool {
    answer.metadata().get("strongroom-replayed").is_some_and(|value| value == "true")
}

/// What the first request did is what its repeat gets, marked as such; another request with its id
/// gets nothing.
fn check_repeats<T: PartialEq + std::fmt::Debug>([first, repeat, other]: [Answer<T>; 3]) -> T {
    let (first, repeat) = (first.unwrap(), repeat.unwrap());
    assert!(!is_replayed(&first) && is_replayed(&repeat));
    let (first, repeat) = (first.into_inner(), repeat.into_inner());
    assert_eq!(first, repeat);
    assert_eq!(why(other).0, Reason::RequestIdReused);
    first
}

async fn outcome(client: &mut Client, operation: &str, request_id: &str) -> OutcomeState {
    let request = GetOutcomeRequest {
        operation: operation.to_owned(),
        request_id: request_id.to_owned(),
        fence: false,
    };
    client.outcomes.get_outcome(request).await.unwrap().into_inner().state()
}

/// Calls a method three times with one id, the last time for something else.
macro_rules! repeats {
    ($client:expr, $method:ident, $operation:literal, $request:expr, $spoil:expr) => {{
        let request = $request;
        let mut other = request.clone();
        $spoil(&mut other);
        let (mut api, id) = ($client.holds.clone(), request.request_id.clone());
        let made = check_repeats([
            api.$method(request.clone()).await,
            api.$method(request.clone()).await,
            api.$method(other).await,
        ]);
        let found = outcome(&mut $client, $operation, &id).await;
        assert_eq!(found, OutcomeState::Succeeded, $operation);
        made
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_holds_happens_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut request = hold(&account, &house, "50");
    request.hold.as_mut().unwrap().expire_time = Some(extend("", Some(LATER)).expire_time.unwrap());
    let made = repeats!(
        client,
        create_hold,
        "create-hold",
        request.clone(),
        |other: &mut wire::CreateHoldRequest| {
            other.hold.as_mut().unwrap().amount = Some(eur("51"));
        }
    );
    let name = made.name.clone();
    repeats!(
        client,
        increase_hold,
        "increase-hold",
        increase(&name, "10"),
        |other: &mut wire::IncreaseHoldRequest| other.amount = Some(eur("11"))
    );
    repeats!(
        client,
        extend_hold,
        "extend-hold",
        extend(&name, None),
        |other: &mut wire::ExtendHoldRequest| other.expire_time = Some(LATER.next().encode())
    );
    let part =
        wire::CaptureHoldRequest { amount: Some(eur("15")), keep_open: true, ..capture(&name) };
    let taken = repeats!(
        client,
        capture_hold,
        "capture-hold",
        part.clone(),
        |other: &mut wire::CaptureHoldRequest| other.keep_open = false
    );
    let some = wire::ReleaseHoldRequest { amount: Some(eur("5")), ..release(&name) };
    repeats!(client, release_hold, "release-hold", some, |other: &mut wire::ReleaseHoldRequest| {
        other.amount = None;
    });
    assert_eq!(client.figures(&account).await, ["85.00", "40.00", "45.00"]);
    assert_eq!(client.read_hold(&name).await.events.len(), 5);

    // A late repeat gets the hold as it is by now, and the transaction as it was posted.
    client.release(&release(&name)).await.unwrap();
    let now = client.hold(&request).await.unwrap();
    assert_eq!((now.state(), now.remaining), (State::Captured, Some(eur("0.00"))));
    let late = client.capture(&part).await.unwrap();
    assert_eq!(late.transaction, taken.transaction);
    assert_eq!(late.hold.unwrap().state(), State::Captured);
    // Ids of different operations do not meet.
    let mut another = hold(&account, &house, "1");
    another.request_id = part.request_id;
    client.hold(&another).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_reversals_and_closings_happen_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let request = transfer(&account, &house, "10");
    let other = wire::CreateTransferRequest { group_id: "g".to_owned(), ..request.clone() };
    let mut api = client.transactions.clone();
    let paid = check_repeats([
        api.create_transfer(request.clone()).await,
        api.create_transfer(request.clone()).await,
        api.create_transfer(other).await,
    ]);
    let undo = reversal(&paid.name);
    let part = wire::ReversalPart { entry_index: 0, amount: Some(eur("1")) };
    let other = wire::ReverseTransactionRequest { parts: vec![part], ..undo.clone() };
    check_repeats([
        api.reverse_transaction(undo.clone()).await,
        api.reverse_transaction(undo.clone()).await,
        api.reverse_transaction(other).await,
    ]);
    let found = outcome(&mut client, "reverse-transaction", &undo.request_id).await;
    assert_eq!(found, OutcomeState::Succeeded);
    client.pay(&account, &house, "100").await.unwrap();
    let close = |name: &str| wire::CloseLedgerAccountRequest {
        name: name.to_owned(),
        request_id: request.request_id.clone(),
        ..Default::default()
    };
    let mut api = client.ledger.clone();
    check_repeats([
        api.close_ledger_account(close(&account)).await,
        api.close_ledger_account(close(&account)).await,
        api.close_ledger_account(close(&house)).await,
    ]);
}

/// One id from many callers and two replicas, for each method that is about a hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_captured_once_however_many_repeat_it() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let made = client.hold(&hold(&account, &house, "50")).await.unwrap().name;
    let request =
        wire::CaptureHoldRequest { amount: Some(eur("10")), keep_open: true, ..capture(&made) };
    let mut repeats = tokio::task::JoinSet::new();
    for n in 0..32_usize {
        let (mut client, request) = (clients[n % 2].clone(), request.clone());
        repeats.spawn(async move { client.capture(&request).await });
    }
    let names: std::collections::BTreeSet<String> = repeats
        .join_all()
        .await
        .into_iter()
        .map(|answer| answer.unwrap().transaction.unwrap().name)
        .collect();
    assert_eq!(names.len(), 1);
    assert_eq!(client.figures(&account).await, ["90.00", "40.00", "50.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_validated_leaves_no_trace() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let mut request = hold(&account, &house, "50");
    request.hold.as_mut().unwrap().expire_time = Some(LATER.encode());
    request.validate_only = true;
    let shown = client.hold(&request).await.unwrap();
    assert_eq!((shown.state(), shown.remaining), (State::Open, Some(eur("50.00"))));
    let get = wire::GetHoldRequest { name: shown.name };
    assert_eq!(why(client.holds.get_hold(get).await).0, Reason::ResourceNotFound);
    request.validate_only = false;
    let name = client.hold(&request).await.unwrap().name;
    let (before, then) = (client.balance(&account).await, client.read_hold(&name).await);

    let taken = wire::CaptureHoldRequest { validate_only: true, ..capture(&name) };
    let shown = client.capture(&taken).await.unwrap();
    assert_eq!(shown.hold.unwrap().state(), State::Captured);
    let get = wire::GetTransactionRequest { name: shown.transaction.unwrap().name };
    assert_eq!(why(client.transactions.get_transaction(get).await).0, Reason::ResourceNotFound);
    let given = wire::ReleaseHoldRequest { validate_only: true, ..release(&name) };
    assert_eq!(client.release(&given).await.unwrap().state(), State::Released);
    let more = wire::IncreaseHoldRequest { validate_only: true, ..increase(&name, "40") };
    assert_eq!(client.increase(&more).await.unwrap().amount, Some(eur("90.00")));
    let longer = wire::ExtendHoldRequest { validate_only: true, ..extend(&name, None) };
    assert_eq!(client.extend(&longer).await.unwrap().expire_time, None);
    let undo = wire::ReverseTransactionRequest { validate_only: true, ..reversal(&paid) };
    assert_eq!(client.reverse(&undo).await.unwrap().reverses, paid);
    // They decide all the same.
    let too_much = wire::IncreaseHoldRequest { validate_only: true, ..increase(&name, "40.01") };
    assert_eq!(why(client.increase(&too_much).await).0, Reason::InsufficientFunds);
    let same = wire::ExtendHoldRequest { validate_only: true, ..extend(&name, Some(LATER)) };
    assert_eq!(field(client.extend(&same).await).1, "expire_time");

    assert_eq!(client.balance(&account).await, before);
    assert_eq!(client.read_hold(&name).await, then);
    for (operation, id) in [
        ("capture-hold", &taken.request_id),
        ("release-hold", &given.request_id),
        ("increase-hold", &more.request_id),
        ("increase-hold", &too_much.request_id),
        ("extend-hold", &longer.request_id),
        ("reverse-transaction", &undo.request_id),
    ] {
        assert_eq!(outcome(&mut client, operation, id).await, OutcomeState::Unknown, "{operation}");
    }
    // Their ids are free, for other requests too.
    let other = wire::ReverseTransactionRequest {
        validate_only: false,
        description: "other".to_owned(),
        ..undo
    };
    client.reverse(&other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_balances_sees_none_in_answers_and_refusals() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut blind = ledger.client_of(
        ledger.tenant,
        &[
            "transactions.transactions.create",
            "transactions.transactions.reverse",
            "transactions.transactions.get",
            "transactions.holds.*",
        ],
    );
    let paid = blind.pay(&account, &house, "10").await.unwrap();
    let mut over = hold(&account, &house, "10");
    over.hold.as_mut().unwrap().over_capture = Some(eur("1000"));
    let held = blind.hold(&over).await.unwrap().name;
    let part =
        wire::CaptureHoldRequest { amount: Some(eur("1")), keep_open: true, ..capture(&held) };
    let taken = blind.capture(&part).await.unwrap().transaction.unwrap();
    let again = blind.capture(&part).await.unwrap().transaction.unwrap();
    let undone = blind.reverse(&reversal(&paid.name)).await.unwrap();
    let get = wire::GetTransactionRequest { name: paid.name.clone() };
    let read = blind.transactions.get_transaction(get).await.unwrap().into_inner();
    for transaction in [&paid, &taken, &again, &undone, &read] {
        assert!(transaction.entries.iter().all(|entry| entry.balance.is_none()));
    }
    client.pay(&account, &house, "90").await.unwrap();
    let request = transfer(&account, &house, "7.77");
    let capture_more = wire::CaptureHoldRequest { amount: Some(eur("16.77")), ..capture(&held) };
    let batch = wire::ExecuteBatchRequest {
        items: vec![wire::BatchItem {
            operation: Some(wire::batch_item::Operation::Transfer(wire::CreateTransferRequest {
                request_id: String::new(),
                ..request.clone()
            })),
        }],
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: crate::setup::request_id(),
        ..Default::default()
    };
    let refusals = [
        blind.transfer(&request).await.map(drop),
        // The frozen answer is told no other way.
        blind.transfer(&request).await.map(drop),
        blind.hold(&hold(&account, &house, "7.77")).await.map(drop),
        blind.increase(&increase(&held, "7.77")).await.map(drop),
        blind.capture(&capture_more).await.map(drop),
        blind.transactions.execute_batch(batch).await.map(drop),
    ];
    for refused in refusals {
        let message = refused.as_ref().unwrap_err().message().to_owned();
        let (reason, figures) = why(refused);
        assert_eq!(reason, Reason::InsufficientFunds);
        for name in ["available", "held", "blocked", "limit", "shortfall"] {
            assert!(!figures.contains_key(name), "{name}");
        }
        assert_eq!(figures["account"], account);
        // The sentence says no more than the figures.
        assert!(!message.contains("7.77") && !message.contains("EUR"), "{message}");
    }
}
