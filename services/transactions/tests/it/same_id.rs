//! One request id at two replicas at once.

use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use wire::Direction::{Credit, Debit};

use crate::books::assert_books;
use crate::gate::Gate;
use crate::replicas::part;
use crate::requests::{capture, hold};
use crate::setup::{entry, eur, request_id, transfer};
use crate::two::Two;

/// The repeat waits at the account while the first is posted at the other replica, and only then
/// looks: what it asks for has happened, so that its own condition does not hold any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_waited_for_its_first_gets_its_outcome() {
    let two = Two::start().await;
    let mut client = two.client(0);
    let (house, account) = client.funded("100").await;
    let mut conditional = wire::CreateTransactionRequest {
        transaction: Some(wire::Transaction {
            r#type: "PAYMENT".to_owned(),
            entries: vec![entry(&account, Debit, eur("1")), entry(&house, Credit, eur("1"))],
            ..Default::default()
        }),
        request_id: request_id(),
        ..Default::default()
    };
    conditional.transaction.as_mut().unwrap().entries[0].expected_version =
        client.balance(&account).await.version;
    let mut gate = Gate::close(&two.ledger, &account);
    let mut both = JoinSet::new();
    for index in 0..2 {
        let (mut client, request) = (two.client(index), conditional.clone());
        both.spawn(async move { client.transactions.create_transaction(request).await });
    }
    gate.wait_for(2).await;
    drop(gate);
    let names = both.join_all().await.into_iter().map(|one| one.unwrap().into_inner().name);
    let names: std::collections::BTreeSet<String> = names.collect();
    assert_eq!(names.len(), 1);
    assert_eq!(client.posted(&account).await, "99.00");
}

/// One request of each kind, from 50 connections to both replicas.
#[tokio::test(flavor = "multi_thread")]
async fn one_id_from_fifty_connections_happens_once() {
    let two = Two::start().await;
    let mut client = two.client(0);
    let (house, account) = client.funded("100").await;
    let held = client.hold(&hold(&account, &house, "20")).await.unwrap().name;
    let pay = transfer(&account, &house, "1");
    let keep = hold(&account, &house, "2");
    let take = capture(&held);
    let batch = wire::ExecuteBatchRequest {
        items: vec![part(&account, &house), part(&account, &house)],
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut connections = JoinSet::new();
    for index in 0..50 {
        let mut client = two.client(index);
        let (pay, keep, take) = (pay.clone(), keep.clone(), take.clone());
        let batch = batch.clone();
        connections.spawn(async move {
            let (mut other, mut third, mut fourth) =
                (client.clone(), client.clone(), client.clone());
            let (pay, keep, take, batch) = tokio::join!(
                client.transactions.create_transfer(pay),
                other.holds.create_hold(keep),
                third.holds.capture_hold(take),
                fourth.transactions.execute_batch(batch),
            );
            let is_first = [
                pay.as_ref().map(is_first),
                keep.as_ref().map(is_first),
                take.as_ref().map(is_first),
                batch.as_ref().map(is_first),
            ];
            is_first.map(|first| usize::from(*first.as_ref().unwrap()))
        });
    }
    let mut firsts = [0; 4];
    for own in connections.join_all().await {
        firsts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    assert_eq!(firsts, [1; 4]);
    assert_eq!(client.figures(&account).await, ["78.98", "2.00", "76.98"]);
    assert_books(&two.ledger);
}

fn is_first<T>(answer: &tonic::Response<T>) -> bool {
    !answer.metadata().contains_key("strongroom-replayed")
}
