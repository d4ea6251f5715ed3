//! Callers that go away in the middle: what they asked for is there as a whole or not at all, and
//! their request ids tell which. `STRONGROOM_TEST_SCALE=10` makes ten times as many.

use std::collections::BTreeMap;
use std::time::Duration;

use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome, outcome::State};
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use wire::batch_item::Operation;

use crate::books::assert_books;
use crate::model::scale;
use crate::requests::hold;
use crate::setup::{Client, request_id, transfer};
use crate::two::Two;

const CALLERS: usize = 16;
const EACH: usize = 12;

/// What was asked for: its operation and its request id.
type Asked = (&'static str, String);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_left_is_there_as_a_whole_or_not_at_all() {
    let two = Two::start().await;
    let clients = two.clients();
    let mut client = two.client(0);
    let (house, account) = client.funded("1000000").await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = clients[caller % 2].clone();
        callers.spawn(leave(client, caller, house.clone(), account.clone()));
    }
    let asked = callers.join_all().await.concat();
    let mut happened: BTreeMap<&str, i64> = BTreeMap::new();
    for (operation, request_id) in &asked {
        let outcome = settled(&mut client, operation, request_id).await;
        match outcome.state() {
            State::Succeeded => *happened.entry(operation).or_default() += 1,
            State::Unknown => {}
            state => panic!("{operation} {request_id} is {state:?}"),
        }
    }
    // What may still have waited at either replica has been looked at once these are through.
    for mut client in clients {
        client.pay(&account, &house, "0.01").await.unwrap();
    }
    let count = |operation| happened.get(operation).copied().unwrap_or_default();
    let cents = |money: Option<strongroom_proto::common::v1::Money>| -> i64 {
        money.unwrap().amount.replace('.', "").parse().unwrap()
    };
    let balance = client.balance(&account).await;
    let paid = count("create-transaction") + 3 * count("execute-batch") + 2;
    assert_eq!(cents(balance.posted), 100_000_000 - paid, "{happened:?}");
    assert_eq!(cents(balance.held), count("create-hold"));
    assert_eq!(balance.entry_seq, 1 + paid);
    assert_books(&two.ledger);
}

/// Asks, and goes away after a while: at once, in the middle, or when it is done already.
async fn leave(mut client: Client, caller: usize, house: String, account: String) -> Vec<Asked> {
    let mut asked = Vec::new();
    for step in 0..EACH * scale() {
        let patience =
            Duration::from_micros(100) * u32::try_from((caller * 7 + step * 13) % 60).unwrap();
        let pay = || transfer(&account, &house, "0.01");
        match (caller + step) % 3 {
            0 => {
                let request = pay();
                asked.push(("create-transaction", request.request_id.clone()));
                wait(patience, client.transactions.create_transfer(request)).await;
            }
            1 => {
                let request = hold(&account, &house, "0.01");
                asked.push(("create-hold", request.request_id.clone()));
                wait(patience, client.holds.create_hold(request)).await;
            }
            _ => {
                let request = batch([pay(), pay(), pay()]);
                asked.push(("execute-batch", request.request_id.clone()));
                wait(patience, client.transactions.execute_batch(request)).await;
            }
        }
    }
    asked
}

/// Waits for an answer for no longer than this, whatever it is.
async fn wait<T>(patience: Duration, call: impl Future<Output = T>) {
    let _ = tokio::time::timeout(patience, call).await;
}

fn batch(transfers: [wire::CreateTransferRequest; 3]) -> wire::ExecuteBatchRequest {
    let items = transfers.map(|transfer| {
        let transfer = wire::CreateTransferRequest { request_id: String::new(), ..transfer };
        wire::BatchItem { operation: Some(Operation::Transfer(transfer)) }
    });
    wire::ExecuteBatchRequest {
        items: items.into(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    }
}

/// What became of a request, for good.
async fn settled(client: &mut Client, operation: &str, request_id: &str) -> Outcome {
    let request = GetOutcomeRequest {
        operation: operation.to_owned(),
        request_id: request_id.to_owned(),
        fence: true,
    };
    client.outcomes.get_outcome(request).await.unwrap().into_inner()
}
