//! Many items with one call.

use shared::problem::{Reason, reason_from_name};
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::Direction::{Credit, Debit};
use wire::batch_item::Operation;
use wire::batch_result::Result as ItemResult;

use crate::setup::{Client, Ledger, entry, eur, request_id, transfer};

fn item(request: wire::CreateTransferRequest) -> wire::BatchItem {
    wire::BatchItem { operation: Some(Operation::Transfer(request)) }
}

fn batch(mode: wire::BatchMode, items: Vec<wire::BatchItem>) -> wire::ExecuteBatchRequest {
    wire::ExecuteBatchRequest { items, mode: mode.into(), ..Default::default() }
}

/// An item of a batch that is all or nothing has no request id of its own.
fn part(from: &str, to: &str, amount: &str) -> wire::BatchItem {
    item(wire::CreateTransferRequest { request_id: String::new(), ..transfer(from, to, amount) })
}

async fn execute(
    client: &mut Client,
    request: &wire::ExecuteBatchRequest,
) -> Result<Vec<wire::BatchResult>, Status> {
    let answer = client.transactions.execute_batch(request.clone()).await?;
    Ok(answer.into_inner().results)
}

fn reason(result: &wire::BatchResult) -> Option<Reason> {
    use prost::Message as _;
    let Some(ItemResult::Error(status)) = &result.result else { return None };
    let info = status.details.iter().find(|any| any.type_url.ends_with("ErrorInfo")).unwrap();
    let info = tonic_types::pb::ErrorInfo::decode(info.value.as_slice()).unwrap();
    reason_from_name(&info.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_items_stand_alone_and_each_is_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let items = vec![
        item(transfer(&account, &house, "4")),
        item(transfer(&account, &house, "7")),
        item(transfer("nobody", &house, "1")),
        item(transfer(&account, &house, "6")),
        wire::BatchItem { operation: None },
    ];
    let request = batch(wire::BatchMode::Independent, items);
    let results = execute(&mut client, &request).await.unwrap();
    let reasons: Vec<_> = results.iter().map(reason).collect();
    let (funds, field) = (Some(Reason::InsufficientFunds), Some(Reason::FieldInvalid));
    assert_eq!(reasons, [None, funds, field, None, field]);
    assert_eq!(client.posted(&account).await, "0.00");

    let again = execute(&mut client, &request).await.unwrap();
    assert_eq!(again.iter().map(reason).collect::<Vec<_>>(), reasons);
    assert_eq!(again[0].result, results[0].result);
    assert!(again[0].replayed && again[3].replayed);
    assert_eq!(client.posted(&account).await, "0.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_nothing_sees_its_own_items_and_leaves_nothing_of_a_failure() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, a) = client.funded("10").await;
    let (b, c) = (client.account(None).await, client.account(None).await);
    // Each item can pay only with what the one before brought.
    let items = vec![part(&a, &b, "10"), part(&b, &c, "10"), part(&c, &house, "10")];
    let mut request = batch(wire::BatchMode::AllOrNothing, items);
    request.request_id = request_id();
    request.validate_only = true;
    assert_eq!(execute(&mut client, &request).await.unwrap().len(), 3);
    assert_eq!(client.posted(&a).await, "10.00");

    request.validate_only = false;
    request.items.push(part(&b, &a, "0.01"));
    let refused = execute(&mut client, &request).await.unwrap_err();
    let (why, _, figures) = refusal(&refused);
    assert_eq!((why, figures["item"].as_str()), (Reason::InsufficientFunds, "3"));
    assert_eq!(client.posted(&a).await, "10.00");
    assert_eq!(client.posted(&house).await, "-10.00");
    // The refusal is frozen, like that of a single posting.
    client.pay(&house, &b, "1").await.unwrap();
    let again = execute(&mut client, &request).await.unwrap_err();
    assert_eq!(refusal(&again).0, Reason::InsufficientFunds);

    request.items.pop();
    request.request_id = request_id();
    let posted = execute(&mut client, &request).await.unwrap();
    assert_eq!(client.posted(&a).await, "0.00");
    assert_eq!(client.posted(&house).await, "-1.00");
    let replayed = execute(&mut client, &request).await.unwrap();
    assert_eq!(replayed.len(), 3);
    for (first, second) in posted.iter().zip(&replayed) {
        assert_eq!(first.result, second.result);
        assert!(second.replayed);
    }
    request.items.pop();
    let other = execute(&mut client, &request).await.unwrap_err();
    assert_eq!(refusal(&other).0, Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payroll_is_a_thousand_items_and_no_more() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, company) = client.funded("1000").await;
    let items = (0..1_000).map(|_| item(transfer(&company, &house, "1"))).collect();
    let mut request = batch(wire::BatchMode::Independent, items);
    request.priority = wire::Priority::Bulk.into();
    let results = execute(&mut client, &request).await.unwrap();
    assert!(results.iter().all(|result| reason(result).is_none()));
    assert_eq!(client.posted(&company).await, "0.00");
    request.items.push(item(transfer(&company, &house, "1")));
    let refused = execute(&mut client, &request).await.unwrap_err();
    let (why, _, figures) = refusal(&refused);
    assert_eq!((why, figures["limit"].as_str()), (Reason::TooManyItems, "1000"));

    // The answer is longer than the request, and has to fit into a message.
    request.items.truncate(600);
    for item in &mut request.items {
        let Some(Operation::Transfer(transfer)) = &mut item.operation else { panic!() };
        transfer.description = "€".repeat(1_024);
        transfer.labels = [("note".to_owned(), "€".repeat(256))].into();
    }
    let refused = execute(&mut client, &request).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::MessageTooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_batches() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let unbalanced = wire::CreateTransactionRequest {
        transaction: Some(wire::Transaction {
            r#type: "TEST".to_owned(),
            entries: vec![entry(&account, Debit, eur("2")), entry(&house, Credit, eur("1"))],
            ..Default::default()
        }),
        ..Default::default()
    };
    let unbalanced = wire::BatchItem { operation: Some(Operation::Transaction(unbalanced)) };
    let (alone, all) = (wire::BatchMode::Independent, wire::BatchMode::AllOrNothing);
    let yen = wire::CreateTransferRequest {
        amount: Some(strongroom_proto::common::v1::Money {
            currency: "JPY".to_owned(),
            amount: "1".to_owned(),
        }),
        request_id: String::new(),
        ..transfer(&account, &house, "1")
    };
    let good = || part(&account, &house, "1");
    let cases = [
        (batch(alone, vec![]), Reason::FieldInvalid, "items"),
        (batch(wire::BatchMode::Unspecified, vec![good()]), Reason::FieldInvalid, "mode"),
        (batch(all, vec![good()]), Reason::RequestIdRequired, "request_id"),
        (with_id(batch(alone, vec![good()])), Reason::FieldInvalid, "request_id"),
        (
            with_id(batch(all, vec![good(), item(transfer(&account, &house, "1"))])),
            Reason::FieldInvalid,
            "items[1].transfer.request_id",
        ),
        (
            with_id(batch(all, vec![good(), unbalanced])),
            Reason::Unbalanced,
            "items[1].transaction.transaction.entries",
        ),
        (
            with_id(batch(all, vec![good(), item(yen)])),
            Reason::CurrencyMismatch,
            "items[1].transfer.amount.currency",
        ),
    ];
    for (request, why, field) in cases {
        let (found, path, _) = refusal(&execute(&mut client, &request).await.unwrap_err());
        assert_eq!((found, path.as_str()), (why, field));
    }
    assert_eq!(client.posted(&account).await, "10.00");
}

fn with_id(mut request: wire::ExecuteBatchRequest) -> wire::ExecuteBatchRequest {
    request.request_id = request_id();
    request
}
