//! Holds expire by the clock, to the microsecond, whether or not anybody looks.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use wire::Override::{Funds, HoldExpired};
use wire::hold::State;
use wire::hold_event::Type;

use crate::requests::{
    assert_figures, capture, extend, field, force, hold, increase, release, why,
};
use crate::setup::{Client, Ledger, block, eur};

/// 2026-11-22T12:00:00.123456Z.
const START: Timestamp = Timestamp::from_micros(1_795_348_800_123_456);
const HOUR: Duration = Duration::from_secs(3_600);
const MICROSECOND: Duration = Duration::from_micros(1);

fn just_before(duration: Duration) -> Duration {
    duration.checked_sub(MICROSECOND).unwrap()
}

fn after(duration: Duration) -> Timestamp {
    Timestamp::from_micros(START.micros() + i64::try_from(duration.as_micros()).unwrap())
}

/// A hold that ends some time after the start.
async fn held(
    client: &mut Client,
    (account, shop): (&str, &str),
    amount: &str,
    end: Duration,
) -> String {
    let mut request = hold(account, shop, amount);
    request.hold.as_mut().unwrap().expire_time = Some(after(end).encode());
    client.hold(&request).await.unwrap().name
}

fn kinds(hold: &wire::Hold) -> Vec<Type> {
    assert!((1..).zip(&hold.events).all(|(seq, event)| event.seq == seq), "{:?}", hold.events);
    hold.events.iter().map(wire::HoldEvent::r#type).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn until_just_before_its_expiry_a_hold_keeps_everything_back_and_then_nothing() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let name = held(&mut client, (&account, &house), "60", HOUR).await;
    clock.advance(just_before(HOUR));
    assert_eq!(client.figures(&account).await, ["100.00", "60.00", "40.00"]);
    assert_eq!(client.read_hold(&name).await.state(), State::Open);
    let (reason, figures) = why(client.pay(&account, &house, "40.01").await);
    assert_eq!((reason, figures["held"].as_str()), (Reason::InsufficientFunds, "60.00"));

    clock.advance(MICROSECOND);
    let before = client.read_hold(&name).await;
    assert_eq!(before.state(), State::Expired);
    assert_eq!((before.remaining, before.released), (Some(eur("0.00")), Some(eur("60.00"))));
    assert_eq!(client.figures(&account).await, ["100.00", "0.00", "100.00"]);
    let get = wire::GetLedgerAccountRequest { name: account.clone() };
    let read = client.ledger.get_ledger_account(get).await.unwrap().into_inner();
    assert_eq!(read.balance.unwrap().held, Some(eur("0.00")));
    // What is only validated sees it too.
    let mut all = crate::setup::transfer(&account, &house, "100");
    all.validate_only = true;
    client.transfer(&all).await.unwrap();
    assert_eq!(kinds(&client.read_hold(&name).await), [Type::Created]);
    all.validate_only = false;
    let posted = client.transfer(&all).await.unwrap();
    assert_eq!(posted.entries[0].balance.as_ref().unwrap().available, Some(eur("0.00")));
    let after_it = client.read_hold(&name).await;
    assert_eq!(kinds(&after_it), [Type::Created, Type::Expired]);
    let expired = &after_it.events[1];
    assert_eq!(expired.record_time, Some(after(HOUR).encode()));
    assert_eq!((&expired.amount, &expired.remaining), (&Some(eur("60.00")), &Some(eur("0.00"))));
    // The tag is that of the state, not of when somebody looked.
    assert_eq!(after_it.etag, before.etag);
    assert_eq!(client.figures(&account).await, ["0.00", "0.00", "0.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_gives_nothing_more_without_an_override() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let pair = (account.as_str(), house.as_str());
    let in_time = held(&mut client, pair, "10", HOUR).await;
    let late = held(&mut client, pair, "60", HOUR).await;
    clock.advance(just_before(HOUR));
    client.capture(&capture(&in_time)).await.unwrap();
    clock.advance(MICROSECOND);
    let first = capture(&late);
    let expire_time = after(HOUR).to_string();
    for (reason, figures) in [
        why(client.capture(&first).await),
        why(client.capture(&first).await),
        why(client.release(&release(&late)).await),
        why(client.extend(&extend(&late, None)).await),
        why(client.increase(&increase(&late, "1")).await),
    ] {
        assert_eq!(reason, Reason::HoldExpired);
        assert_figures(&figures, &[("hold", &late), ("expire_time", &expire_time)]);
    }
    let forced = |amount: &str, rules: &[wire::Override]| wire::CaptureHoldRequest {
        amount: Some(eur(amount)),
        force: force(rules),
        ..capture(&late)
    };
    let other_rule = why(client.capture(&forced("60", &[Funds])).await);
    assert_eq!(other_rule.0, Reason::HoldExpired);
    assert_eq!(
        field(
            client
                .capture(&wire::CaptureHoldRequest { amount: None, ..forced("1", &[HoldExpired]) })
                .await
        )
        .1,
        "amount"
    );
    let (reason, figures) = why(client.capture(&forced("60.01", &[HoldExpired])).await);
    assert_eq!((reason, figures["remaining"].as_str()), (Reason::CaptureExceedsHold, "60.00"));
    // Nothing was kept back for it, so it needs what any payment needs.
    client.pay(&account, &house, "40").await.unwrap();
    let (reason, figures) = why(client.capture(&forced("50.01", &[HoldExpired])).await);
    assert_eq!(reason, Reason::InsufficientFunds);
    assert_figures(&figures, &[("available", "50.00"), ("held", "0.00"), ("shortfall", "0.01")]);
    let done = client.capture(&forced("45", &[HoldExpired])).await.unwrap();
    let now = done.hold.unwrap();
    assert_eq!((now.state(), now.captured), (State::Expired, Some(eur("45.00"))));
    assert_eq!(done.transaction.unwrap().force, force(&[HoldExpired]));
    client.capture(&forced("15", &[HoldExpired, Funds])).await.unwrap();
    let (_, figures) = why(client.capture(&forced("0.01", &[HoldExpired, Funds])).await);
    assert_eq!(figures["remaining"], "0.00");
    assert_eq!(client.figures(&account).await, ["-10.00", "0.00", "-10.00"]);
    let read = client.read_hold(&late).await;
    assert_eq!(kinds(&read), [Type::Created, Type::Expired, Type::Captured, Type::Captured]);
}

/// A block that honours holds honours those that are open: what comes after the expiry is a debit
/// like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_honours_holds_does_not_honour_an_expired_one() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let name = held(&mut client, (&account, &house), "60", HOUR).await;
    let mut honouring = block(1, wire::block::Effect::Debit);
    honouring.blocks[0].honour_holds = true;
    client.control(&account, honouring).await.unwrap();
    clock.advance(HOUR);
    let late = wire::CaptureHoldRequest {
        amount: Some(eur("60")),
        force: force(&[HoldExpired]),
        ..capture(&name)
    };
    assert_eq!(why(client.capture(&late).await).0, Reason::AccountBlocked);
    assert_eq!(client.figures(&account).await, ["100.00", "0.00", "100.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hold_of_an_account_expires_by_itself_and_an_extended_one_later() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let pair = (account.as_str(), house.as_str());
    let third = held(&mut client, pair, "4", 3 * HOUR).await;
    let first = held(&mut client, pair, "1", HOUR).await;
    let second = held(&mut client, pair, "2", 2 * HOUR).await;
    let endless = client.hold(&hold(&account, &house, "8")).await.unwrap().name;
    let moved = client.extend(&extend(&first, Some(after(4 * HOUR)))).await.unwrap();
    assert_eq!(moved.expire_time, Some(after(4 * HOUR).encode()));
    for (name, time) in [
        (&first, Some(after(4 * HOUR))),
        (&first, Some(after(3 * HOUR))),
        (&endless, Some(after(9 * HOUR))),
        (&endless, None),
    ] {
        let refused = field(client.extend(&extend(name, time)).await);
        assert_eq!(refused, (Reason::FieldInvalid, "expire_time".to_owned()));
    }
    for (held, settles) in [("15.00", true), ("13.00", false), ("9.00", true), ("8.00", true)] {
        clock.advance(HOUR);
        assert_eq!(client.balance(&account).await.held, Some(eur(held)));
        if settles {
            // A posting settles what has expired, and looks again in time.
            client.pay(&house, &account, "0.01").await.unwrap();
            assert_eq!(client.balance(&account).await.held, Some(eur(held)));
        }
    }
    let ends = [(&first, 3), (&second, 2), (&third, 2), (&endless, 1)];
    for (name, events) in ends {
        assert_eq!(client.read_hold(name).await.events.len(), events);
    }
    // Never again, once it never expires.
    let other = held(&mut client, pair, "16", 5 * HOUR).await;
    assert_eq!(client.extend(&extend(&other, None)).await.unwrap().expire_time, None);
    clock.advance(1_000 * HOUR);
    client.pay(&house, &account, "0.01").await.unwrap();
    assert_eq!(client.balance(&account).await.held, Some(eur("24.00")));
    let done = client.capture(&capture(&other)).await.unwrap().hold.unwrap();
    assert_eq!(done.state(), State::Captured);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_is_recorded_though_nothing_else_happens() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_at(clock.clock(), &["--expiry-interval", "0.05"]).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let pair = (account.as_str(), house.as_str());
    let soon = held(&mut client, pair, "10", HOUR).await;
    let later = held(&mut client, pair, "20", 2 * HOUR).await;
    for names in [vec![&soon], vec![&soon, &later]] {
        clock.advance(HOUR);
        for name in names {
            let recorded = async {
                loop {
                    let found = client.read_hold(name).await;
                    if kinds(&found).contains(&Type::Expired) {
                        return found;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let found = tokio::time::timeout(Duration::from_secs(60), recorded).await.unwrap();
            assert_eq!(kinds(&found), [Type::Created, Type::Expired]);
            assert_eq!(found.events[1].record_time, found.expire_time);
        }
    }
    assert_eq!(client.figures(&account).await, ["100.00", "0.00", "100.00"]);
}

/// Both replicas look, and callers too: the hold expires once.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_find_the_same_expired_hold() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_at(clock.clock(), &["--expiry-interval", "0.02"]).await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1000").await;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut names = Vec::new();
    for round in 1..=5 {
        for _ in 0..4 {
            names.push(held(&mut client, (&account, &house), "10", HOUR * round).await);
        }
        clock.advance(HOUR);
        let mut payers = tokio::task::JoinSet::new();
        for n in 0..20_usize {
            let (mut client, from, to) = (clients[n % 2].clone(), account.clone(), house.clone());
            payers.spawn(async move { client.pay(&from, &to, "1").await.map(|_| ()) });
        }
        assert!(payers.join_all().await.into_iter().all(|paid| paid.is_ok()));
    }
    for name in names {
        assert_eq!(kinds(&client.read_hold(&name).await), [Type::Created, Type::Expired]);
    }
    assert_eq!(client.figures(&account).await, ["900.00", "0.00", "900.00"]);
}
