//! What a balance is made of.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::{MockClock, refusal};
use shared::time::Timestamp;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::batch_item::Operation;
use wire::block::Effect;
use wire::limit::{Scope, Window};

use crate::requests::{capture, force, hold, release};
use crate::setup::{Client, Ledger, eur, request_id, transfer};

/// 2027-03-27T12:00:00Z.
const START: Timestamp = Timestamp::from_micros(1_806_148_800_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

impl Client {
    async fn explain(&mut self, account: &str) -> Result<wire::BalanceExplanation, Status> {
        let request = wire::ExplainBalanceRequest { account: account.to_owned() };
        self.balances.explain_balance(request).await.map(tonic::Response::into_inner)
    }
}

fn hours(count: i64) -> prost_types::Timestamp {
    Timestamp::from_micros(START.micros() + count * 3_600_000_000).encode()
}

/// A hold that ends so many hours after the start, or never.
fn until(account: &str, amount: &str, end: Option<i64>) -> wire::CreateHoldRequest {
    let mut request = hold(account, "", amount);
    request.hold.as_mut().unwrap().expire_time = end.map(hours);
    request
}

fn limit(id: &str, window: Window, scope: Scope) -> wire::Limit {
    wire::Limit {
        id: id.to_owned(),
        effect: Effect::Debit.into(),
        window: window.into(),
        max_amount: Some(eur("1000")),
        scope: scope.into(),
        ..Default::default()
    }
}

/// The amounts of the holds that are told one by one.
fn amounts(explained: &wire::BalanceExplanation) -> Vec<&str> {
    let remaining = explained.holds.iter().flat_map(|one| &one.remaining);
    remaining.map(|money| money.amount.as_str()).collect()
}

/// What each limit has counted, by its source and id.
fn usages(explained: &wire::BalanceExplanation) -> Vec<(&str, &str, &str, i64)> {
    let mut found = Vec::new();
    for one in &explained.limits {
        let (limit, used) = (one.limit.as_ref().unwrap(), one.used_amount.as_ref().unwrap());
        found.push((&*one.source, &*limit.id, &*used.amount, one.used_count));
    }
    found
}

fn cents(money: Option<&Money>) -> i64 {
    money.unwrap().amount.replace('.', "").parse().unwrap()
}

/// The balance is what it is said to be made of.
fn assert_adds_up(explained: &wire::BalanceExplanation) {
    let balance = explained.balance.as_ref().unwrap();
    let held: i64 = explained.holds.iter().map(|one| cents(one.remaining.as_ref())).sum();
    let others = cents(explained.held_by_others.as_ref());
    assert_eq!(cents(balance.held.as_ref()), held + others);
    let amounts = explained.blocks.iter().filter_map(|one| one.block.as_ref()?.amount.as_ref());
    let blocked: i64 = amounts.map(|money| cents(Some(money))).sum();
    assert_eq!(cents(balance.blocked.as_ref()), blocked);
    let free = cents(balance.posted.as_ref()) - held - others - blocked;
    let available = free + cents(balance.overdraft_limit.as_ref());
    assert_eq!(cents(balance.available.as_ref()), available);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_explained() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let account = client.account(None).await;
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    let mut clerk = ledger.client_of(ledger.tenant, &["transactions.balances.get"]);
    let unknown = "accounts/00000000-0000-0000-0000-000000000000";
    for (answer, expected) in [
        (client.explain("accounts/x").await, (Reason::FieldInvalid, "account")),
        (client.explain(unknown).await, (Reason::ResourceNotFound, "")),
        (stranger.explain(&account).await, (Reason::ResourceNotFound, "")),
        (clerk.explain(&account).await, (Reason::PermissionMissing, "")),
    ] {
        let (reason, field, _) = refusal(&answer.unwrap_err());
        assert_eq!((reason, field.as_str()), expected);
    }
    let explained = client.explain(&account).await.unwrap();
    assert_eq!(explained.balance, Some(client.balance(&account).await));
    assert_adds_up(&explained);
    assert_eq!(explained.excess, Some(eur("0.00")));
}

/// A block of an amount from one hour until another.
fn block(amount: &str, start: Option<i64>, end: Option<i64>) -> wire::Block {
    wire::Block {
        effect: Effect::Debit.into(),
        amount: Some(eur(amount)),
        start_time: start.map(hours),
        end_time: end.map(hours),
        reason_code: "COURT_ORDER".to_owned(),
        honour_holds: false,
    }
}

/// An account with 100, from which two sources hold something back, and which has four holds.
async fn controlled(client: &mut Client) -> (String, String) {
    let (house, account) = client.funded("100").await;
    let monthly = limit("customer", Window::Month, Scope::Customer);
    let own = wire::Controls {
        source: "accounts".to_owned(),
        version: 1,
        blocks: vec![
            block("1", None, Some(2)),
            block("2", Some(2), None),
            block("4", Some(9), None),
        ],
        limits: vec![
            limit("daily", Window::Day, Scope::Account),
            wire::Limit { max_count: 9, ..monthly },
        ],
        timeline: String::new(),
    };
    client.control(&account, own).await.unwrap();
    let no_credit =
        wire::Block { effect: Effect::Credit.into(), amount: None, ..block("", None, None) };
    let auditor = wire::Controls {
        source: "monitor".to_owned(),
        version: 1,
        blocks: vec![no_credit],
        limits: vec![limit("single", Window::Transaction, Scope::Account)],
        timeline: String::new(),
    };
    client.control(&account, auditor).await.unwrap();
    for (amount, end) in [("5", None), ("6", Some(3)), ("7", Some(1)), ("8", Some(20))] {
        client.hold(&until(&account, amount, end)).await.unwrap();
    }
    (house, account)
}

/// What the three limits have counted.
fn used(amount: &'static str, count: i64) -> [(&'static str, &'static str, &'static str, i64); 3] {
    [
        ("accounts", "daily", amount, count),
        ("accounts", "customer", amount, count),
        ("monitor", "single", "0.00", 0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_blocks_and_limits_are_those_of_now() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = controlled(&mut client).await;
    client.pay(&account, &house, "10").await.unwrap();
    let explained = client.explain(&account).await.unwrap();
    assert_adds_up(&explained);
    assert_eq!(explained.balance, Some(client.balance(&account).await));
    assert_eq!(
        amounts(&explained),
        ["7.00", "6.00", "8.00", "5.00"],
        "what ends first is in front"
    );
    assert_eq!(explained.holds[0].expire_time, Some(hours(1)));
    assert_eq!(explained.holds[0].r#type, "HOLD");
    let blocks: Vec<_> = explained.blocks.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(blocks, ["accounts", "monitor"]);
    assert_eq!(explained.blocks[0].block, Some(block("1.00", None, Some(2))));
    assert_eq!(usages(&explained), used("36.00", 5));

    // The second block begins as the first one ends, and a hold is over that nobody has recorded.
    clock.advance(2 * HOUR);
    let version = explained.balance.unwrap().version;
    let explained = client.explain(&account).await.unwrap();
    assert_adds_up(&explained);
    assert_eq!(explained.balance, Some(client.balance(&account).await));
    assert_eq!(explained.balance.as_ref().unwrap().version, version);
    assert_eq!(amounts(&explained), ["6.00", "8.00", "5.00"]);
    assert_eq!(explained.blocks[0].block, Some(block("2.00", Some(2), None)));
    assert_eq!(usages(&explained), used("29.00", 4), "limits have got back what it counted");
    // A posting records it, and finds what was explained.
    client.pay(&account, &house, "1").await.unwrap();
    assert_eq!(usages(&client.explain(&account).await.unwrap()), used("30.00", 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_bound_gets_less_as_holds_end() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = controlled(&mut client).await;
    let mut forced = transfer(&account, &house, "110");
    forced.force = force(&[wire::Override::Funds]);
    client.transfer(&forced).await.unwrap();
    // 10 below zero and 26 held; what is blocked is no part of it.
    let explained = client.explain(&account).await.unwrap();
    assert_eq!(explained.excess, Some(eur("36.00")));
    assert_eq!(usages(&explained), used("136.00", 5));
    assert_adds_up(&explained);
    // Two of the holds have ended, nobody has recorded that, and it is another day.
    clock.advance(15 * HOUR);
    let explained = client.explain(&account).await.unwrap();
    assert_eq!(explained.excess, Some(eur("23.00")));
    let daily = ("accounts", "daily", "0.00", 0);
    assert_eq!(usages(&explained)[..2], [daily, ("accounts", "customer", "123.00", 3)]);
    assert_adds_up(&explained);
    // Whoever records it finds the same.
    let name = explained.holds[1].hold.clone();
    client.release(&release(&name)).await.unwrap();
    let explained = client.explain(&account).await.unwrap();
    assert_eq!(explained.excess, Some(eur("18.00")));
    assert_eq!(amounts(&explained), ["8.00"]);
}

/// Many holds, made all together.
async fn hold_many(client: &mut Client, account: &str, count: i64) {
    let item = |n: i64| {
        let mut request = hold(account, "", "0.01");
        request.request_id = String::new();
        request.hold.as_mut().unwrap().expire_time =
            Some(Timestamp::from_micros(4_000_000_000_000_000 - n).encode());
        wire::BatchItem { operation: Some(Operation::Hold(request)) }
    };
    let batch = wire::ExecuteBatchRequest {
        items: (0..count).map(item).collect(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    client.transactions.execute_batch(batch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_holds_are_told_and_the_others_are_summed_up() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account) = client.funded("1000").await;
    client.hold(&hold(&account, "", "500")).await.unwrap();
    hold_many(&mut client, &account, 998).await;
    let explained = client.explain(&account).await.unwrap();
    assert_eq!((explained.holds.len(), &explained.held_by_others), (999, &Some(eur("0.00"))));
    assert_eq!(amounts(&explained)[998], "500.00", "what never ends is behind all that do");
    hold_many(&mut client, &account, 7).await;
    let explained = client.explain(&account).await.unwrap();
    assert_eq!(explained.holds.len(), 1_000);
    let end = |one: &wire::HeldAmount| Timestamp::decode(one.expire_time.unwrap()).unwrap();
    assert!(explained.holds.is_sorted_by_key(end));
    assert_eq!(explained.held_by_others, Some(eur("500.05")));
    assert_adds_up(&explained);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_of_one_moment() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1000").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let holder = tokio::spawn({
        let (mut client, stop, account) = (client.clone(), stop.clone(), account.clone());
        async move {
            while !stop.is_cancelled() {
                let first = client.hold(&hold(&account, &house, "2")).await.unwrap().name;
                let second = client.hold(&hold(&account, &house, "3")).await.unwrap().name;
                client.release(&release(&first)).await.unwrap();
                client.capture(&capture(&second)).await.unwrap();
                client.pay(&house, &account, "3").await.unwrap();
            }
        }
    });
    let mut versions = std::collections::BTreeSet::new();
    while versions.len() < 30 {
        assert!(!holder.is_finished());
        let explained = client.explain(&account).await.unwrap();
        assert_adds_up(&explained);
        versions.insert(explained.balance.unwrap().version);
    }
    stop.cancel();
    holder.await.unwrap();
}
