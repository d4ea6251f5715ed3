//! Batches of everything that may be an item, all or nothing and each by itself.

use prost::Message as _;
use shared::problem::{Reason, reason_from_name};
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::batch_item::Operation;
use wire::batch_result::Result as Made;
use wire::hold::State;

use crate::requests::{assert_figures, capture, field, hold, release, reversal, why};
use crate::setup::{Client, Ledger, entry, eur, request_id, transfer};

fn all(operations: Vec<Operation>) -> wire::ExecuteBatchRequest {
    let items = operations.into_iter().map(|operation| {
        let mut item = wire::BatchItem { operation: Some(operation) };
        if let Some(request_id) = id_of(&mut item) {
            request_id.clear();
        }
        item
    });
    wire::ExecuteBatchRequest {
        items: items.collect(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    }
}

fn each(operations: Vec<Operation>) -> wire::ExecuteBatchRequest {
    let items =
        operations.into_iter().map(|operation| wire::BatchItem { operation: Some(operation) });
    wire::ExecuteBatchRequest {
        items: items.collect(),
        mode: wire::BatchMode::Independent.into(),
        ..Default::default()
    }
}

fn id_of(item: &mut wire::BatchItem) -> Option<&mut String> {
    Some(match item.operation.as_mut()? {
        Operation::Transaction(request) => &mut request.request_id,
        Operation::Transfer(request) => &mut request.request_id,
        Operation::Hold(request) => &mut request.request_id,
        Operation::Capture(request) => &mut request.request_id,
        Operation::Release(request) => &mut request.request_id,
        Operation::Reversal(request) => &mut request.request_id,
    })
}

async fn execute(
    client: &mut Client,
    request: &wire::ExecuteBatchRequest,
) -> Result<Vec<wire::BatchResult>, Status> {
    let answer = client.transactions.execute_batch(request.clone()).await?;
    Ok(answer.into_inner().results)
}

fn error_of(result: &wire::BatchResult) -> Option<(Reason, String)> {
    let Some(Made::Error(status)) = &result.result else { return None };
    let info = status.details.iter().find(|any| any.type_url.ends_with("ErrorInfo")).unwrap();
    let info = tonic_types::pb::ErrorInfo::decode(info.value.as_slice()).unwrap();
    let permission = info.metadata.get("permission").cloned().unwrap_or_default();
    Some((reason_from_name(&info.reason).unwrap(), permission))
}

/// What came of it, by its kind.
fn kind(result: &wire::BatchResult) -> &'static str {
    match &result.result {
        Some(Made::Transaction(_)) => "transaction",
        Some(Made::Hold(_)) => "hold",
        Some(Made::Capture(_)) => "capture",
        Some(Made::Error(_)) => "error",
        None => "nothing",
    }
}

fn chosen_hold(account: &str, shop: &str, amount: &str) -> (String, wire::CreateHoldRequest) {
    let hold_id = uuid::Uuid::now_v7().to_string();
    let name = format!("holds/{hold_id}");
    (name, wire::CreateHoldRequest { hold_id, ..hold(account, shop, amount) })
}

fn chosen_transfer(from: &str, to: &str, amount: &str) -> (String, wire::CreateTransferRequest) {
    let transaction_id = uuid::Uuid::now_v7().to_string();
    let name = format!("transactions/{transaction_id}");
    (name, wire::CreateTransferRequest { transaction_id, ..transfer(from, to, amount) })
}

fn refund(
    from: &str,
    to: &str,
    amount: &str,
    (transaction, entry_index): (&str, i32),
) -> wire::CreateTransferRequest {
    let link = wire::Link {
        r#type: wire::link::Type::RefundOf.into(),
        transaction: transaction.to_owned(),
        entry_index,
        amount: Some(eur(amount)),
    };
    wire::CreateTransferRequest { links: vec![link], ..transfer(from, to, amount) }
}

/// Two captures of a hold that the batch makes, a release of one that was there, reversals of a
/// transaction that was there and of one of the batch, and a link to the latter's fellow.
struct Mixed {
    request: wire::ExecuteBatchRequest,
    new_hold: String,
    old_hold: String,
    old: String,
}

async fn mixed(client: &mut Client, (house, account): (&str, &str)) -> Mixed {
    let old = client.pay(account, house, "10").await.unwrap().name;
    let old_hold = client.hold(&hold(account, house, "5")).await.unwrap().name;
    let (new_hold, keep) = chosen_hold(account, house, "20");
    let (undone, first) = chosen_transfer(account, house, "7");
    let (given_back, second) = chosen_transfer(account, house, "8");
    let entries = vec![
        entry(account, wire::Direction::Debit, eur("1")),
        entry(house, wire::Direction::Credit, eur("1")),
    ];
    let transaction = wire::Transaction { r#type: "FEE".to_owned(), entries, ..Default::default() };
    let part = |amount: &str, keep_open: bool| wire::CaptureHoldRequest {
        amount: Some(eur(amount)),
        keep_open,
        ..capture(&new_hold)
    };
    let request = all(vec![
        Operation::Hold(keep),
        Operation::Capture(part("6", true)),
        Operation::Transfer(first),
        Operation::Transaction(wire::CreateTransactionRequest {
            transaction: Some(transaction),
            ..Default::default()
        }),
        Operation::Capture(part("4", false)),
        Operation::Reversal(reversal(&undone)),
        Operation::Release(release(&old_hold)),
        Operation::Transfer(second),
        Operation::Reversal(reversal(&old)),
        Operation::Transfer(refund(house, account, "3", (&given_back, 1))),
    ]);
    Mixed { request, new_hold, old_hold, old }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_batch_is_done_in_its_order_and_repeated_in_it() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut mixed = mixed(&mut client, (&house, &account)).await;
    mixed.request.group_id = "run:2026-11".to_owned();
    let done = execute(&mut client, &mixed.request).await.unwrap();
    let kinds: Vec<_> = done.iter().map(kind).collect();
    let (t, h, c) = ("transaction", "hold", "capture");
    assert_eq!(kinds, [h, c, t, t, c, t, h, t, t, t]);
    assert!(done.iter().all(|result| !result.replayed));
    // Each answer is of its own moment.
    let Some(Made::Hold(made)) = &done[0].result else { panic!() };
    assert_eq!((&made.name, made.remaining.clone()), (&mixed.new_hold, Some(eur("20.00"))));
    let Some(Made::Capture(first)) = &done[1].result else { panic!() };
    assert_eq!(first.hold.as_ref().unwrap().remaining, Some(eur("14.00")));
    assert_eq!(first.transaction.as_ref().unwrap().group_id, "run:2026-11");
    let Some(Made::Capture(last)) = &done[4].result else { panic!() };
    assert_eq!(last.hold.as_ref().unwrap().state(), State::Captured);
    let Some(Made::Transaction(undone)) = &done[8].result else { panic!() };
    assert_eq!(undone.reverses, mixed.old);
    // 100 - 10 before; - 6 - 7 - 1 - 4 + 7 - 8 + 10 + 3 in it.
    assert_eq!(client.figures(&account).await, ["84.00", "0.00", "84.00"]);
    assert_eq!(client.read_hold(&mixed.old_hold).await.state(), State::Released);

    let again = client.transactions.execute_batch(mixed.request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    let again = again.into_inner().results;
    assert_eq!(again.iter().map(kind).collect::<Vec<_>>(), kinds);
    assert!(again.iter().all(|result| result.replayed));
    for (first, second) in done.iter().zip(&again) {
        // Transactions as they were posted, holds as they are now.
        match (first.result.clone(), second.result.clone()) {
            (Some(Made::Transaction(then)), Some(Made::Transaction(now))) => assert_eq!(then, now),
            (Some(Made::Capture(then)), Some(Made::Capture(now))) => {
                assert_eq!(then.transaction, now.transaction);
                assert_eq!(now.hold.unwrap(), *last.hold.as_ref().unwrap());
            }
            (Some(Made::Hold(then)), Some(Made::Hold(now))) => assert_eq!(then.name, now.name),
            other => panic!("{other:?}"),
        }
    }
    mixed.request.items.swap(2, 3);
    assert_eq!(why(execute(&mut client, &mixed.request).await).0, Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_batch_whose_last_item_fails_leaves_nothing() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut mixed = mixed(&mut client, (&house, &account)).await;
    let before = client.balance(&account).await;
    mixed.request.validate_only = true;
    assert_eq!(execute(&mut client, &mixed.request).await.unwrap().len(), 10);
    mixed.request.validate_only = false;
    let good = mixed.request.clone();
    let too_much = release(&mixed.old_hold);
    mixed.request.items.extend(all(vec![Operation::Release(too_much)]).items);
    mixed.request.request_id = request_id();
    let (reason, figures) = why(execute(&mut client, &mixed.request).await);
    assert_eq!(reason, Reason::HoldFinished);
    assert_figures(&figures, &[("item", "10"), ("state", "RELEASED")]);
    assert_eq!(client.balance(&account).await, before);
    let unharmed = client.read_hold(&mixed.old_hold).await;
    assert_eq!((unharmed.state(), unharmed.events.len()), (State::Open, 1));
    let get = wire::GetHoldRequest { name: mixed.new_hold.clone() };
    assert_eq!(why(client.holds.get_hold(get).await).0, Reason::ResourceNotFound);
    // The ids that it chose are free, and what it would have reversed is there to be reversed.
    execute(&mut client, &good).await.unwrap();
    assert_eq!(client.figures(&account).await, ["84.00", "0.00", "84.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_capture_only_what_an_earlier_item_holds() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let (name, keep) = chosen_hold(&account, &house, "20");
    let backwards = all(vec![Operation::Capture(capture(&name)), Operation::Hold(keep.clone())]);
    let (reason, figures) = why(execute(&mut client, &backwards).await);
    assert_eq!(reason, Reason::ResourceNotFound);
    assert_figures(&figures, &[("item", "0"), ("name", &name)]);
    let twice = all(vec![
        Operation::Hold(keep),
        Operation::Capture(capture(&name)),
        Operation::Capture(capture(&name)),
    ]);
    let (reason, figures) = why(execute(&mut client, &twice).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::HoldFinished, "2"));
    let (undone, first) = chosen_transfer(&account, &house, "7");
    let doubly = all(vec![
        Operation::Transfer(first),
        Operation::Reversal(reversal(&undone)),
        Operation::Reversal(reversal(&undone)),
    ]);
    let (reason, figures) = why(execute(&mut client, &doubly).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::ReversalExceedsOriginal, "2"));
    let (reversed, first) = chosen_transfer(&account, &house, "7");
    let back = wire::ReverseTransactionRequest {
        transaction_id: uuid::Uuid::now_v7().to_string(),
        ..reversal(&reversed)
    };
    let forth = reversal(&format!("transactions/{}", back.transaction_id));
    let to_and_fro = all(vec![
        Operation::Transfer(first),
        Operation::Reversal(back),
        Operation::Reversal(forth),
    ]);
    let (reason, figures) = why(execute(&mut client, &to_and_fro).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::InvalidTransition, "2"));
    assert_eq!(client.figures(&account).await, ["100.00", "0.00", "100.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_items_of_all_kinds_have_outcomes_of_their_own() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let one = client.hold(&hold(&account, &house, "5")).await.unwrap().name;
    let two = client.hold(&hold(&account, &house, "5")).await.unwrap().name;
    let nobody = format!("holds/{}", uuid::Uuid::now_v7());
    let request = each(vec![
        Operation::Transfer(transfer(&account, &house, "1")),
        Operation::Hold(hold(&account, &house, "2")),
        Operation::Capture(capture(&one)),
        Operation::Capture(capture(&nobody)),
        Operation::Release(release(&two)),
        Operation::Reversal(reversal(&paid)),
        Operation::Hold(hold(&account, &house, "1000")),
    ]);
    let done = execute(&mut client, &request).await.unwrap();
    let kinds: Vec<_> = done.iter().map(kind).collect();
    let (t, h, c, e) = ("transaction", "hold", "capture", "error");
    assert_eq!(kinds, [t, h, c, e, h, t, e]);
    assert_eq!(error_of(&done[3]).unwrap().0, Reason::ResourceNotFound);
    assert_eq!(error_of(&done[6]).unwrap().0, Reason::InsufficientFunds);
    assert_eq!(client.figures(&account).await, ["94.00", "2.00", "92.00"]);
    let again = execute(&mut client, &request).await.unwrap();
    assert_eq!(again.iter().map(kind).collect::<Vec<_>>(), kinds);
    let replayed: Vec<_> = again.iter().map(|result| result.replayed).collect();
    assert_eq!(replayed, [true, true, true, false, true, true, false]);
    // An item and a call of its own are one operation.
    let Some(Operation::Capture(alone)) = &request.items[2].operation else { panic!() };
    let alone = client.holds.capture_hold(alone.clone()).await.unwrap();
    assert_eq!(alone.metadata().get("strongroom-replayed").unwrap(), "true");
    let Some(Made::Capture(first)) = &done[2].result else { panic!() };
    assert_eq!(alone.into_inner(), **first);
    assert_eq!(client.figures(&account).await, ["94.00", "2.00", "92.00"]);

    let mut preview = request;
    preview.validate_only = true;
    for item in &mut preview.items {
        *id_of(item).unwrap() = request_id();
    }
    let before = client.balance(&account).await;
    let shown = execute(&mut client, &preview).await.unwrap();
    assert_eq!(shown.iter().map(kind).collect::<Vec<_>>(), [t, h, e, e, e, e, e]);
    assert_eq!(client.balance(&account).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_needs_the_permission_of_its_own_method() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let name = client.hold(&hold(&account, &house, "5")).await.unwrap().name;
    let items = || {
        [
            ("transactions.holds.create", Operation::Hold(hold(&account, &house, "1"))),
            ("transactions.holds.capture", Operation::Capture(capture(&name))),
            ("transactions.holds.release", Operation::Release(release(&name))),
            ("transactions.transactions.reverse", Operation::Reversal(reversal(&paid))),
        ]
    };
    let own = "transactions.transactions.create";
    let mut clerk = ledger.client_of(ledger.tenant, &[own]);
    for (permission, operation) in items() {
        let request =
            all(vec![Operation::Transfer(transfer(&account, &house, "1")), operation.clone()]);
        let (reason, figures) = why(execute(&mut clerk, &request).await);
        assert_eq!(reason, Reason::PermissionMissing);
        assert_figures(&figures, &[("permission", permission), ("item", "1")]);
        let alone = each(vec![operation.clone()]);
        let refused = execute(&mut clerk, &alone).await.unwrap();
        assert_eq!(error_of(&refused[0]), Some((Reason::PermissionMissing, permission.to_owned())));
        let mut other = ledger.client_of(ledger.tenant, &[permission]);
        let (reason, figures) = why(execute(&mut other, &alone).await);
        assert_eq!((reason, figures["permission"].as_str()), (Reason::PermissionMissing, own));
        // Only what is one's own opens nothing, as for single calls.
        let scoped = format!("{permission}:own");
        let mut scoped = ledger.client_of(ledger.tenant, &[own, &scoped]);
        let refused = execute(&mut scoped, &alone).await.unwrap();
        assert_eq!(error_of(&refused[0]).unwrap().0, Reason::PermissionMissing);
    }
    assert_eq!(client.figures(&account).await, ["90.00", "5.00", "85.00"]);
    for (permission, operation) in items().into_iter().take(1) {
        let mut clerk = ledger.client_of(ledger.tenant, &[own, permission]);
        let done = execute(&mut clerk, &each(vec![operation])).await.unwrap();
        assert_eq!(kind(&done[0]), "hold");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_items_say_where() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let name = client.hold(&hold(&account, &house, "5")).await.unwrap().name;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let good = || Operation::Transfer(transfer(&account, &house, "1"));
    let usd = Some(strongroom_proto::common::v1::Money {
        currency: "USD".to_owned(),
        amount: "1".to_owned(),
    });
    let mut dollars = hold(&account, "", "1");
    dollars.hold.as_mut().unwrap().amount = usd.clone();
    let mut ended = hold(&account, "", "1");
    ended.hold.as_mut().unwrap().expire_time =
        Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let taken = wire::CaptureHoldRequest { amount: usd.clone(), ..capture(&name) };
    let given = wire::ReleaseHoldRequest { amount: usd.clone(), ..release(&name) };
    let part = wire::ReversalPart { entry_index: 7, amount: Some(eur("1")) };
    let undone = wire::ReverseTransactionRequest { parts: vec![part], ..reversal(&paid) };
    let cases = [
        (Operation::Hold(dollars), Reason::CurrencyMismatch, "hold.hold.amount.currency"),
        (Operation::Hold(ended), Reason::FieldInvalid, "hold.hold.expire_time"),
        (Operation::Capture(taken), Reason::CurrencyMismatch, "capture.amount.currency"),
        (Operation::Capture(capture("1")), Reason::FieldInvalid, "capture.name"),
        (Operation::Release(given), Reason::CurrencyMismatch, "release.amount.currency"),
        (Operation::Reversal(undone), Reason::FieldInvalid, "reversal.parts[0].entry_index"),
    ];
    for (operation, reason, path) in cases {
        let request = all(vec![good(), operation]);
        assert_eq!(
            field(execute(&mut client, &request).await),
            (reason, format!("items[1].{path}"))
        );
    }
    for mut request in
        [all(vec![good(), Operation::Hold(hold(&account, "", "1"))]), each(vec![good()])]
    {
        request.group_id = "no group".to_owned();
        assert_eq!(field(execute(&mut client, &request).await).1, "group_id");
    }
    let mut named = all(vec![good(), Operation::Release(release(&name))]);
    *id_of(&mut named.items[1]).unwrap() = request_id();
    assert_eq!(field(execute(&mut client, &named).await).1, "items[1].release.request_id");
    let validated = wire::ReverseTransactionRequest { validate_only: true, ..reversal(&paid) };
    let validated = all(vec![Operation::Reversal(validated)]);
    assert_eq!(field(execute(&mut client, &validated).await).1, "items[0].reversal.validate_only");
    assert_eq!(client.figures(&account).await, ["90.00", "5.00", "85.00"]);
}

/// How much a reversal is shows only when it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_reversals_has_no_more_entries_than_any_other() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut names = Vec::new();
    for _ in 0..11 {
        let side = |direction| entry(&account, direction, eur("0.01"));
        let mut entries = vec![side(wire::Direction::Debit), side(wire::Direction::Credit)];
        entries = entries.into_iter().cycle().take(998).collect();
        entries.push(entry(&account, wire::Direction::Debit, eur("1")));
        entries.push(entry(&house, wire::Direction::Credit, eur("1")));
        let transaction =
            wire::Transaction { r#type: "MANY".to_owned(), entries, ..Default::default() };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        let posted = client.transactions.create_transaction(request).await.unwrap();
        names.push(posted.into_inner().name);
    }
    let mut request = all(names.iter().map(|name| Operation::Reversal(reversal(name))).collect());
    let (reason, path) = field(execute(&mut client, &request).await);
    assert_eq!((reason, path.as_str()), (Reason::TooManyEntries, "items"));
    assert_eq!(client.posted(&account).await, "89.00");
    // It was a mistake, so the id is free; and the answer to the most there may be fits.
    request.items.pop();
    let done = execute(&mut client, &request).await.unwrap();
    assert_eq!(done.len(), 10);
    assert_eq!(client.posted(&account).await, "99.00");
}
