//! Limits: how much and how often, in which time, for whom.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use wire::Override::{Funds, Limits};
use wire::block::Effect;
use wire::limit::{Scope, Window};

use crate::requests::{assert_figures, capture, force, hold, increase, release, reversal, why};
use crate::setup::{Client, Ledger, eur, request_id, transfer, unbounded};

/// 2027-03-27T12:00:00Z. In Zurich it is 13:00, and in the night summer time begins.
const START: Timestamp = Timestamp::from_micros(1_806_148_800_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const MICROSECOND: Duration = Duration::from_micros(1);

fn just_before(duration: Duration) -> Duration {
    duration.checked_sub(MICROSECOND).unwrap()
}

/// A limit of debits by amount; one by count where the amount is empty.
fn limit(id: &str, window: Window, amount: &str, count: i64) -> wire::Limit {
    wire::Limit {
        id: id.to_owned(),
        effect: Effect::Debit.into(),
        window: window.into(),
        max_amount: Some(eur(amount)).filter(|_| !amount.is_empty()),
        max_count: count,
        ..Default::default()
    }
}

fn rolling(id: &str, length: Duration, amount: &str) -> wire::Limit {
    let seconds = i64::try_from(length.as_secs()).unwrap();
    let length = prost_types::Duration { seconds, nanos: 0 };
    wire::Limit { rolling_length: Some(length), ..limit(id, Window::Rolling, amount, 0) }
}

fn controls(version: i64, limits: Vec<wire::Limit>) -> wire::Controls {
    wire::Controls { source: "accounts".to_owned(), version, limits, ..Default::default() }
}

async fn limited(client: &mut Client, limits: Vec<wire::Limit>) -> (String, String) {
    let (house, account) = client.funded("10000").await;
    client.control(&account, controls(1, limits)).await.unwrap();
    (house, account)
}

/// What is refused by which limit, of which so much is used.
async fn exceeds(client: &mut Client, from: &str, to: &str, amount: &str, used: &str) {
    let (reason, figures) = why(client.pay(from, to, amount).await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(&figures, &[("used", used)]);
}

fn typed(from: &str, to: &str, amount: &str, kind: &str) -> wire::CreateTransferRequest {
    wire::CreateTransferRequest { r#type: kind.to_owned(), ..transfer(from, to, amount) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_transactions_judges_each_by_itself_and_says_its_figures() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) =
        limited(&mut client, vec![limit("single", Window::Transaction, "100", 0)]).await;
    for _ in 0..3 {
        client.pay(&account, &house, "100").await.unwrap();
    }
    let (reason, figures) = why(client.pay(&account, &house, "100.01").await);
    assert_eq!(reason, Reason::LimitExceeded);
    let expected = [
        ("account", account.as_str()),
        ("limit", "single"),
        ("source", "accounts"),
        ("window", "TRANSACTION"),
        ("currency", "EUR"),
        ("max_amount", "100.00"),
        ("requested", "100.01"),
        ("entry", "0"),
    ];
    assert_figures(&figures, &expected);
    assert!(!figures.contains_key("used"));
    // All entries of one transaction are one.
    let both = wire::CreateTransactionRequest {
        transaction: Some(wire::Transaction {
            r#type: "TEST".to_owned(),
            entries: vec![
                crate::setup::entry(&account, wire::Direction::Debit, eur("60")),
                crate::setup::entry(&account, wire::Direction::Debit, eur("40.01")),
                crate::setup::entry(&house, wire::Direction::Credit, eur("100.01")),
            ],
            ..Default::default()
        }),
        request_id: request_id(),
        ..Default::default()
    };
    let refused = client.transactions.create_transaction(both).await;
    assert_eq!(why(refused).0, Reason::LimitExceeded);
    assert_eq!(why(client.hold(&hold(&account, &house, "100.01")).await).0, Reason::LimitExceeded);
    client.pay(&house, &account, "5000").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_months_are_those_of_the_tenants_zone() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let limits = vec![limit("day", Window::Day, "100", 0), limit("month", Window::Month, "250", 0)];
    let (house, account) = limited(&mut client, limits).await;
    client.pay(&account, &house, "60").await.unwrap();
    // Midnight in Zurich is at 23:00Z; the next day has 23 hours, so it ends at 22:00Z.
    clock.advance(just_before(11 * HOUR));
    let (_, figures) = why(client.pay(&account, &house, "40.01").await);
    let expected = [("limit", "day"), ("window", "DAY"), ("used", "60.00"), ("used_count", "1")];
    assert_figures(&figures, &expected);
    clock.advance(MICROSECOND);
    client.pay(&account, &house, "100").await.unwrap();
    clock.advance(just_before(23 * HOUR));
    exceeds(&mut client, &account, &house, "0.01", "100.00").await;
    clock.advance(MICROSECOND);
    client.pay(&account, &house, "90").await.unwrap();
    // The month is full, whatever the day has left; it ends on the 31st at 22:00Z.
    exceeds(&mut client, &account, &house, "0.01", "250.00").await;
    clock.advance(just_before(3 * 24 * HOUR));
    let (_, figures) = why(client.pay(&account, &house, "0.01").await);
    assert_figures(&figures, &[("limit", "month"), ("window", "MONTH"), ("used", "250.00")]);
    clock.advance(MICROSECOND);
    client.pay(&account, &house, "100").await.unwrap();
    exceeds(&mut client, &account, &house, "0.01", "100.00").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_window_moves_and_never_forgets_too_early() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![rolling("hour", HOUR, "100")]).await;
    clock.advance(30 * Duration::from_secs(1));
    client.pay(&account, &house, "60").await.unwrap();
    clock.advance(30 * MINUTE);
    client.pay(&account, &house, "40").await.unwrap();
    clock.advance(just_before(30 * MINUTE));
    exceeds(&mut client, &account, &house, "0.01", "100.00").await;
    // A step of a minute later at most the first one has left the window.
    clock.advance(MINUTE + MICROSECOND);
    exceeds(&mut client, &account, &house, "60.01", "40.00").await;
    client.pay(&account, &house, "60").await.unwrap();
    clock.advance(2 * HOUR);
    client.pay(&account, &house, "100").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_counts_postings_of_its_types_and_its_side() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let cards = wire::Limit {
        types: vec!["CARD".to_owned(), "ATM".to_owned()],
        ..limit("cards", Window::Day, "", 2)
    };
    let credits = wire::Limit {
        effect: Effect::Credit.into(),
        types: vec!["TOPUP".to_owned()],
        ..limit("in", Window::Day, "30", 0)
    };
    let all =
        wire::Limit { effect: Effect::All.into(), ..limit("all", Window::Transaction, "500", 0) };
    let (house, account) = limited(&mut client, vec![cards, credits, all]).await;
    client.transfer(&typed(&account, &house, "1", "CARD")).await.unwrap();
    client.transfer(&typed(&account, &house, "1", "ATM")).await.unwrap();
    let (reason, figures) = why(client.transfer(&typed(&account, &house, "1", "CARD")).await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(
        &figures,
        &[("limit", "cards"), ("used_count", "2"), ("max_count", "2"), ("used", "2.00")],
    );
    assert!(!figures.contains_key("max_amount"));
    client.transfer(&typed(&account, &house, "1", "FEE")).await.unwrap();
    client.transfer(&typed(&house, &account, "1", "CARD")).await.unwrap();

    client.transfer(&typed(&house, &account, "30", "TOPUP")).await.unwrap();
    let (_, figures) = why(client.transfer(&typed(&house, &account, "0.01", "TOPUP")).await);
    assert_figures(&figures, &[("limit", "in"), ("entry", "1"), ("used", "30.00")]);
    client.transfer(&typed(&house, &account, "500", "SALARY")).await.unwrap();
    for (from, to) in [(&account, &house), (&house, &account)] {
        let (_, figures) = why(client.transfer(&typed(from, to, "500.01", "FEE")).await);
        assert_figures(&figures, &[("limit", "all"), ("account", &account)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_counts_once_on_its_day_and_its_capture_only_what_exceeds_it() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let limits = vec![limit("day", Window::Day, "100", 0), limit("often", Window::Month, "", 5)];
    let (house, account) = limited(&mut client, limits).await;
    let mut over = hold(&account, &house, "60");
    over.hold.as_mut().unwrap().over_capture = Some(eur("50"));
    let first = client.hold(&over).await.unwrap().name;
    exceeds(&mut client, &account, &house, "40.01", "60.00").await;
    assert_eq!(why(client.hold(&hold(&account, &house, "40.01")).await).0, Reason::LimitExceeded);
    let (reason, figures) = why(client.increase(&increase(&first, "40.01")).await);
    assert_eq!((reason, figures["requested"].as_str()), (Reason::LimitExceeded, "40.01"));

    clock.advance(24 * HOUR);
    let part = |amount: &str, keep_open: bool| wire::CaptureHoldRequest {
        amount: Some(eur(amount)),
        keep_open,
        ..capture(&first)
    };
    client.capture(&part("50", true)).await.unwrap();
    client.pay(&account, &house, "90").await.unwrap();
    // 10 of the hold are left, and 10 of the day.
    let (reason, figures) = why(client.capture(&part("20.01", false)).await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(&figures, &[("requested", "10.01"), ("used", "90.00"), ("used_count", "1")]);
    client.capture(&part("20", false)).await.unwrap();
    exceeds(&mut client, &account, &house, "0.01", "100.00").await;
    // A hold and a payment are two, however often the hold is captured.
    clock.advance(24 * HOUR);
    for _ in 0..3 {
        client.pay(&account, &house, "1").await.unwrap();
    }
    let (_, figures) = why(client.pay(&account, &house, "1").await);
    assert_figures(&figures, &[("limit", "often"), ("used_count", "5")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hold_gives_back_may_be_used_again() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let limits = vec![limit("day", Window::Day, "100", 2)];
    let (house, account) = limited(&mut client, limits).await;
    let one = client.hold(&hold(&account, &house, "60")).await.unwrap().name;
    client.increase(&increase(&one, "20")).await.unwrap();
    let some = wire::ReleaseHoldRequest { amount: Some(eur("30")), ..release(&one) };
    client.release(&some).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "50.01").await);
    assert_figures(&figures, &[("used", "50.00"), ("used_count", "1")]);
    client.release(&release(&one)).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "100.01").await);
    assert_figures(&figures, &[("used", "0.00"), ("used_count", "0")]);

    // A capture in part gives back the amount; it was one act all the same.
    let two = client.hold(&hold(&account, &house, "60")).await.unwrap().name;
    let part = wire::CaptureHoldRequest { amount: Some(eur("25")), ..capture(&two) };
    client.capture(&part).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "75.01").await);
    assert_figures(&figures, &[("used", "25.00"), ("used_count", "1")]);

    let mut short = hold(&account, &house, "75");
    let end = Timestamp::from_micros(START.micros() + 3_600_000_000);
    short.hold.as_mut().unwrap().expire_time = Some(end.encode());
    client.hold(&short).await.unwrap();
    exceeds(&mut client, &account, &house, "0.01", "100.00").await;
    clock.advance(HOUR);
    client.pay(&account, &house, "75").await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "0.01").await);
    assert_figures(&figures, &[("used", "100.00"), ("used_count", "2")]);

    // What is given back on another day was counted on its own.
    clock.advance(12 * HOUR);
    let late = client.hold(&hold(&account, &house, "90")).await.unwrap().name;
    clock.advance(24 * HOUR);
    client.pay(&account, &house, "40").await.unwrap();
    client.release(&release(&late)).await.unwrap();
    exceeds(&mut client, &account, &house, "60.01", "40.00").await;
}

/// A late capture comes as a debit of its own: the hold has given everything back.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_after_the_expiry_counts_anew() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 1)]).await;
    let mut short = hold(&account, &house, "60");
    let end = Timestamp::from_micros(START.micros() + 3_600_000_000);
    short.hold.as_mut().unwrap().expire_time = Some(end.encode());
    let name = client.hold(&short).await.unwrap().name;
    clock.advance(HOUR);
    let late = wire::CaptureHoldRequest {
        amount: Some(eur("60")),
        force: force(&[wire::Override::HoldExpired]),
        ..capture(&name)
    };
    client.capture(&late).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "1").await);
    assert_figures(&figures, &[("used", "60.00"), ("used_count", "1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_posting_passes_a_limit_and_counts() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 3)]).await;
    let forced = |amount: &str, rule| wire::CreateTransferRequest {
        force: force(&[rule]),
        ..transfer(&account, &house, amount)
    };
    assert_eq!(why(client.transfer(&forced("150", Funds)).await).0, Reason::LimitExceeded);
    client.transfer(&forced("150", Limits)).await.unwrap();
    exceeds(&mut client, &account, &house, "0.01", "150.00").await;
    let mut request = hold(&account, &house, "10");
    request.hold.as_mut().unwrap().force = force(&[Limits]);
    let name = client.hold(&request).await.unwrap().name;
    let more = wire::IncreaseHoldRequest { force: force(&[Limits]), ..increase(&name, "5") };
    client.increase(&more).await.unwrap();
    exceeds(&mut client, &account, &house, "0.01", "165.00").await;
    // What remains of the hold was counted, beyond the limit or not.
    client.capture(&capture(&name)).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "0.01").await);
    assert_figures(&figures, &[("used", "165.00"), ("used_count", "2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_only_validated_does_not_count() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 0)]).await;
    let poor = client.account(None).await;
    let preview =
        wire::CreateTransferRequest { validate_only: true, ..transfer(&account, &house, "90") };
    client.transfer(&preview).await.unwrap();
    let part = |from: &str, amount: &str| wire::BatchItem {
        operation: Some(wire::batch_item::Operation::Transfer(wire::CreateTransferRequest {
            request_id: String::new(),
            ..transfer(from, &house, amount)
        })),
    };
    let batch = |items| wire::ExecuteBatchRequest {
        items,
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let failing = batch(vec![part(&account, "90"), part(&poor, "1")]);
    assert_eq!(why(client.transactions.execute_batch(failing).await).0, Reason::InsufficientFunds);
    exceeds(&mut client, &account, &house, "100.01", "0.00").await;
    // Within a batch each item sees the ones before it.
    let too_many = batch(vec![part(&account, "60"), part(&account, "41")]);
    let (reason, figures) = why(client.transactions.execute_batch(too_many).await);
    assert_eq!(reason, Reason::LimitExceeded);
    assert_figures(&figures, &[("item", "1"), ("used", "60.00")]);
    client.pay(&account, &house, "100").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_controls_keep_the_counts_of_the_limits_that_stay() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 0)]).await;
    client.pay(&account, &house, "80").await.unwrap();
    let two = vec![limit("day", Window::Day, "150", 0), limit("new", Window::Day, "90", 0)];
    client.control(&account, controls(2, two)).await.unwrap();
    // The old one has counted; the new one begins.
    exceeds(&mut client, &account, &house, "70.01", "80.00").await;
    client.pay(&account, &house, "70").await.unwrap();
    client.control(&account, controls(3, vec![limit("new", Window::Day, "90", 0)])).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "20.01").await);
    assert_figures(&figures, &[("limit", "new"), ("used", "70.00")]);
    // Another source has limits, and counts, of its own.
    let mut other = controls(1, vec![limit("day", Window::Day, "1", 0)]);
    other.source = "monitor".to_owned();
    client.control(&account, other).await.unwrap();
    let (_, figures) = why(client.pay(&account, &house, "1.01").await);
    assert_figures(&figures, &[("source", "monitor"), ("used", "0.00")]);
    client.control(&account, controls(4, vec![])).await.unwrap();
    client.pay(&account, &house, "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_gives_back_though_its_limit_was_lifted_meanwhile() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let day = || vec![limit("day", Window::Day, "100", 0)];
    let (house, account) = limited(&mut client, day()).await;
    let name = client.hold(&hold(&account, &house, "60")).await.unwrap().name;
    client.control(&account, controls(2, vec![])).await.unwrap();
    client.release(&release(&name)).await.unwrap();
    client.control(&account, controls(3, day())).await.unwrap();
    exceeds(&mut client, &account, &house, "100.01", "0.00").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_counts_on_its_own_side() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 0)]).await;
    let paid = client.pay(&account, &house, "60").await.unwrap();
    client.reverse(&reversal(&paid.name)).await.unwrap();
    // It is a credit: the debit was made, and stays counted.
    exceeds(&mut client, &account, &house, "40.01", "60.00").await;
}

/// Accounts of one customer, in one currency, with the same limit.
async fn customers_accounts(client: &mut Client, limit: &wire::Limit) -> (String, [String; 2]) {
    let house = client.account(Some(unbounded())).await;
    let customer = format!("customers/{}", uuid::Uuid::now_v7());
    let mut accounts = [String::new(), String::new()];
    for account in &mut accounts {
        let request = wire::RegisterLedgerAccountRequest {
            account: Some(wire::LedgerAccount {
                currency: "EUR".to_owned(),
                class: wire::AccountClass::Liability.into(),
                customer: customer.clone(),
                ..Default::default()
            }),
            controls: vec![controls(1, vec![limit.clone()])],
            ..Default::default()
        };
        let made = client.ledger.register_ledger_account(request).await.unwrap().into_inner();
        assert_eq!(made.customer, customer);
        *account = made.name;
        client.pay(&house, account, "10000").await.unwrap();
    }
    (house, accounts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_limit_is_one_for_all_its_accounts() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let mut shared = limit("wallet", Window::Day, "100", 0);
    shared.scope = Scope::Customer.into();
    let (house, [a, b]) = customers_accounts(&mut client, &shared).await;
    client.pay(&a, &house, "70").await.unwrap();
    exceeds(&mut client, &b, &house, "30.01", "70.00").await;
    let name = client.hold(&hold(&b, &house, "30")).await.unwrap().name;
    exceeds(&mut client, &a, &house, "0.01", "100.00").await;
    client.release(&release(&name)).await.unwrap();
    client.pay(&a, &house, "30").await.unwrap();
    // Another customer's, and that of a house account, are their own.
    let (_, [other, _]) = customers_accounts(&mut client, &shared).await;
    client.pay(&other, &house, "100").await.unwrap();
    let (_, lone) = limited(&mut client, vec![shared]).await;
    client.pay(&lone, &house, "100").await.unwrap();
}

/// Two replicas and two accounts, so that neither a lane nor an account's row is what they wait at.
#[tokio::test(flavor = "multi_thread")]
async fn a_customers_limit_holds_against_many_callers() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let mut shared = limit("wallet", Window::Day, "100", 0);
    shared.scope = Scope::Customer.into();
    let (house, accounts) = customers_accounts(&mut client, &shared).await;
    let houses = [house, client.account(None).await];
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..60_usize {
        let mut client = clients[n % 2].clone();
        let (from, to) = (accounts[n % 2].clone(), houses[n % 2].clone());
        callers.spawn(async move {
            match n % 3 {
                0 => client.hold(&hold(&from, &to, "9")).await.map(|_| ()),
                _ => client.pay(&from, &to, "9").await.map(|_| ()),
            }
        });
    }
    let mut passed = 0;
    for answer in callers.join_all().await {
        match answer {
            Ok(()) => passed += 1,
            refused => assert_eq!(why(refused).0, Reason::LimitExceeded),
        }
    }
    assert_eq!(passed, 11);
    let (_, figures) = why(client.pay(&accounts[0], &houses[0], "9").await);
    assert_figures(&figures, &[("used", "99.00"), ("used_count", "11")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_balances_is_told_the_limit_but_not_what_is_used() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = limited(&mut client, vec![limit("day", Window::Day, "100", 0)]).await;
    let permissions = ["transactions.transactions.create", "transactions.holds.create"];
    let mut blind = ledger.client_of(ledger.tenant, &permissions);
    for (reason, figures) in [
        why(blind.pay(&account, &house, "100.01").await),
        why(blind.hold(&hold(&account, &house, "100.01")).await),
    ] {
        assert_eq!(reason, Reason::LimitExceeded);
        assert_figures(&figures, &[("limit", "day"), ("window", "DAY"), ("max_amount", "100.00")]);
        assert!(!figures.contains_key("used") && !figures.contains_key("used_count"));
    }
}
