//! What a hold has counted for a customer, once it has expired and nobody has recorded that.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;

use crate::requests::{assert_figures, hold, why};
use crate::setup::{Client, Ledger, eur, unbounded};

/// 2026-11-21T09:00:00Z.
const MORNING: i64 = 1_795_251_600_000_000;
const HOUR: i64 = 3_600_000_000;

/// An account of a customer, who may spend 100 a day with all of them.
async fn account(client: &mut Client, customer: &str) -> String {
    let limit = wire::Limit {
        id: "daily".to_owned(),
        effect: wire::block::Effect::Debit.into(),
        window: wire::limit::Window::Day.into(),
        max_amount: Some(eur("100")),
        max_count: 3,
        scope: wire::limit::Scope::Customer.into(),
        ..Default::default()
    };
    let controls = wire::Controls {
        source: "accounts".to_owned(),
        version: 1,
        blocks: Vec::new(),
        limits: vec![limit],
        timeline: String::new(),
    };
    let account = wire::LedgerAccount {
        currency: "EUR".to_owned(),
        class: wire::AccountClass::Liability.into(),
        overdraft: Some(unbounded()),
        customer: customer.to_owned(),
        ..Default::default()
    };
    let request = wire::RegisterLedgerAccountRequest {
        account: Some(account),
        controls: vec![controls],
        ..Default::default()
    };
    client.ledger.register_ledger_account(request).await.unwrap().into_inner().name
}

/// What is used of the limit of an account.
async fn used(client: &mut Client, account: &str) -> (String, i64) {
    let request = wire::ExplainBalanceRequest { account: account.to_owned() };
    let explained = client.balances.explain_balance(request).await.unwrap().into_inner();
    let limit = explained.limits.into_iter().next().unwrap();
    (limit.used_amount.unwrap().amount, limit.used_count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_counts_no_more_for_other_accounts_of_its_customer() {
    let clock = MockClock::at(Timestamp::from_micros(MORNING));
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let house = client.account(Some(unbounded())).await;
    let customer = format!("customers/{}", uuid::Uuid::now_v7());
    let (first, second) =
        (account(&mut client, &customer).await, account(&mut client, &customer).await);
    let mut held = hold(&first, &house, "80");
    held.hold.as_mut().unwrap().expire_time = Some(Timestamp::from_micros(MORNING + HOUR).encode());
    client.hold(&held).await.unwrap();
    let (reason, figures) = why(client.pay(&second, &house, "30").await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(&figures, &[("used", "80.00"), ("used_count", "1"), ("requested", "30.00")]);

    clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(used(&mut client, &second).await, ("0.00".to_owned(), 0));
    for amount in ["60", "40"] {
        client.pay(&second, &house, amount).await.unwrap();
    }
    // Recorded now, it gives nothing back that others have used since.
    let (reason, figures) = why(client.hold(&hold(&first, &house, "1")).await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(&figures, &[("used", "100.00"), ("used_count", "2")]);
    assert_eq!(used(&mut client, &second).await, ("100.00".to_owned(), 2));
    assert_eq!(client.balance(&first).await.held, Some(eur("0.00")));
}
