//! Two replicas on one database. `STRONGROOM_TEST_SCALE=10` makes the runs ten times as long.

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::problem::Reason;
use shared::testing::{MockClock, refusal};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use wire::Direction::{Credit, Debit};
use wire::batch_item::Operation;
use wire::link::Type;

use crate::books::{assert_books, owner};
use crate::gate::Gate;
use crate::model::scale;
use crate::requests::hold;
use crate::setup::{Client, Ledger, entry, eur, request_id, transfer, unbounded};
use crate::two::{PATIENT, Two};

const CALLERS: usize = 12;
const EACH: usize = 20;

/// Entries over all accounts, in their order or in the opposite one.
fn round(accounts: &[String], index: usize) -> wire::CreateTransactionRequest {
    let mut accounts: Vec<&String> = accounts.iter().collect();
    if index.is_multiple_of(2) {
        accounts.reverse();
    }
    let pairs = accounts
        .chunks(2)
        .flat_map(|pair| [entry(pair[0], Debit, eur("0.01")), entry(pair[1], Credit, eur("0.01"))]);
    let transaction = wire::Transaction {
        r#type: "ROUND".to_owned(),
        entries: pairs.collect(),
        ..Default::default()
    };
    wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    }
}

/// A limit that all accounts of one customer share, and that is never reached.
fn limit() -> wire::Controls {
    let limit = wire::Limit {
        id: "month".to_owned(),
        effect: wire::block::Effect::All.into(),
        window: wire::limit::Window::Month.into(),
        max_amount: Some(eur("1000000")),
        scope: wire::limit::Scope::Customer.into(),
        ..Default::default()
    };
    let limits = vec![limit];
    wire::Controls {
        source: "accounts".to_owned(),
        version: 1,
        blocks: Vec::new(),
        limits,
        timeline: String::new(),
    }
}

async fn account_of(client: &mut Client, customer: &str) -> String {
    let account = wire::LedgerAccount {
        currency: "EUR".to_owned(),
        class: wire::AccountClass::Liability.into(),
        overdraft: Some(unbounded()),
        customer: customer.to_owned(),
        ..Default::default()
    };
    let request = wire::RegisterLedgerAccountRequest {
        account: Some(account),
        controls: vec![limit()],
        ..Default::default()
    };
    client.ledger.register_ledger_account(request).await.unwrap().into_inner().name
}

/// Postings, batches and refunds that want the same accounts, originals and counts in opposite
/// orders. Nobody hears of a deadlock, and everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn opposite_orders_lose_nothing() {
    let two = Two::start().await;
    let mut client = two.client(0);
    let customers = [(); 3].map(|()| format!("customers/{}", uuid::Uuid::now_v7()));
    let mut accounts = Vec::new();
    for index in 0..6 {
        accounts.push(account_of(&mut client, &customers[index % 3]).await);
    }
    let mut originals = Vec::new();
    for _ in 0..4 {
        originals.push(client.pay(&accounts[0], &accounts[1], "100").await.unwrap().name);
    }
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, accounts) = (two.client(caller), accounts.clone());
        let originals = originals.clone();
        callers.spawn(cross(client, caller, accounts, originals));
    }
    let refunds: usize = callers.join_all().await.into_iter().sum();
    // Each original has 200 refunds of half a unit in it.
    assert_eq!(refunds, (CALLERS * EACH * scale()).min(originals.len() * 200));
    assert_books(&two.ledger);
    for (customer, account) in customers.iter().zip(&accounts) {
        let request = wire::ExplainBalanceRequest { account: account.clone() };
        let explained = client.balances.explain_balance(request).await.unwrap().into_inner();
        let used = explained.limits[0].used_amount.clone().unwrap().amount;
        assert_eq!(used, moved(&two.ledger, customer), "what the limit has counted");
    }
}

/// What the entries of a customer's accounts come to, debits and credits together.
fn moved(ledger: &Ledger, customer: &str) -> String {
    #[derive(QueryableByName)]
    struct Sum {
        #[diesel(sql_type = Text)]
        sum: String,
    }
    let id = customer.strip_prefix("customers/").unwrap();
    let sql = format!(
        "SELECT (sum(amount) / 100)::numeric(38, 2)::text AS sum FROM entries e \
         JOIN ledger_accounts a ON a.id = e.account_id WHERE a.customer_id = '{id}'"
    );
    let sum: Sum = tokio::task::block_in_place(|| {
        diesel::sql_query(sql).get_result(&mut owner(ledger, ledger.tenant)).unwrap()
    });
    sum.sum
}

/// What one caller does; it gives how many of its refunds passed.
async fn cross(
    mut client: Client,
    caller: usize,
    accounts: Vec<String>,
    originals: Vec<String>,
) -> usize {
    let mut refunds = 0;
    for step in 0..EACH * scale() {
        let index = caller + step;
        client.transactions.create_transaction(round(&accounts, index)).await.unwrap();
        let mut items: Vec<_> = accounts.windows(2).map(|pair| part(&pair[0], &pair[1])).collect();
        if index.is_multiple_of(2) {
            items.reverse();
        }
        let batch = wire::ExecuteBatchRequest {
            items,
            mode: wire::BatchMode::AllOrNothing.into(),
            request_id: request_id(),
            ..Default::default()
        };
        client.transactions.execute_batch(batch).await.unwrap();
        let mut refund = transfer(&accounts[1], &accounts[0], "0.5");
        refund.links = vec![link(&originals[index % originals.len()], "0.5")];
        match client.transactions.create_transfer(refund).await {
            Ok(_) => refunds += 1,
            Err(status) => assert_eq!(refusal(&status).0, Reason::LinkExceedsOriginal),
        }
        // What two want to begin to count, or to link to, at once.
        let mut both = transfer(&accounts[1], &accounts[0], "0.02");
        let mut two: Vec<_> = originals.iter().map(|name| fee(name, "0.01")).collect();
        if index.is_multiple_of(2) {
            two.reverse();
        }
        both.links = two;
        client.transactions.create_transfer(both).await.unwrap();
    }
    refunds
}

/// An item of a batch that is done all or nothing.
pub(crate) fn part(from: &str, to: &str) -> wire::BatchItem {
    let transfer =
        wire::CreateTransferRequest { request_id: String::new(), ..transfer(from, to, "0.01") };
    wire::BatchItem { operation: Some(Operation::Transfer(transfer)) }
}

fn link(transaction: &str, amount: &str) -> wire::Link {
    wire::Link {
        r#type: Type::RefundOf.into(),
        transaction: transaction.to_owned(),
        entry_index: 0,
        amount: Some(eur(amount)),
    }
}

fn fee(transaction: &str, amount: &str) -> wire::Link {
    wire::Link { r#type: Type::FeeOf.into(), ..link(transaction, amount) }
}

/// The clock of one replica is an hour behind that of the other: time goes on for every account all
/// the same, and so do its days.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_keep_the_order_of_postings() {
    // 2026-11-21T23:30:00Z: the next day has begun in the tenant's zone, but not yet for the other.
    let (ahead, behind) = [1_795_303_800_000_000, 1_795_300_200_000_000]
        .map(|micros| MockClock::at(Timestamp::from_micros(micros)))
        .into();
    let ledger = Ledger::start_in(&ahead).await;
    let replica = ledger.replica_at(&behind.clock()).await;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut last = client.balance(&account).await.record_time.map(micros);
    for step in 0..20 {
        let mut client = clients[step % 2].clone();
        let posted = client.pay(&account, &house, "1").await.unwrap();
        let time = posted.record_time.map(micros);
        assert!(time > last, "step {step}");
        assert_eq!(posted.booking_date, "2026-11-22");
        last = time;
        let held = client.hold(&hold(&account, &house, "1")).await.unwrap();
        assert!(held.create_time.map(micros) > last, "step {step}");
        last = held.create_time.map(micros);
    }
    assert_books(&ledger);
}

fn micros(time: prost_types::Timestamp) -> i64 {
    Timestamp::decode(time).unwrap().micros()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_victim_of_a_deadlock_is_tried_again() {
    let ledger = Ledger::start_with(&PATIENT).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    // The service locks in the order of the ids, and this one takes the other way.
    let (first, second) = if house < account { (&house, &account) } else { (&account, &house) };
    for attempt in 0..10 {
        let mut gate = Gate::close(&ledger, second);
        let (mut payer, request) = (client.clone(), transfer(&account, &house, "1"));
        let paying = tokio::spawn(async move { payer.transactions.create_transfer(request).await });
        gate.wait_for(1).await;
        let is_victim = !gate.take(first);
        drop(gate);
        paying.await.unwrap().unwrap();
        let left = format!("{}.00", 99 - attempt);
        assert_eq!(client.posted(&account).await, left);
        // Which of the two Postgres ends is a matter of who waited first; mostly it is the service.
        if !is_victim {
            return;
        }
    }
    panic!("the service was never the victim");
}
