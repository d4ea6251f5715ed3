//! Holds: what is kept back, and what becomes of it.

use shared::problem::Reason;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::hold::State;
use wire::hold_event::Type;

use crate::requests::{
    assert_figures, capture, extend, field, force, hold, increase, release, why,
};
use crate::setup::{Client, Ledger, block, eur, request_id, unbounded};

pub(crate) fn usd(amount: &str) -> Money {
    Money { currency: "USD".to_owned(), amount: amount.to_owned() }
}

/// The remaining, the captured and the released amount, and the state.
pub(crate) fn stands(hold: &wire::Hold) -> (State, [&str; 3]) {
    let amounts = [&hold.remaining, &hold.captured, &hold.released];
    (hold.state(), amounts.map(|money| money.as_ref().map_or("", |money| money.amount.as_str())))
}

/// The events as type, amount and what remains; their numbers have no gap.
pub(crate) fn events(hold: &wire::Hold) -> Vec<(Type, &str, &str)> {
    for (seq, event) in (1..).zip(&hold.events) {
        assert_eq!(event.seq, seq);
        assert_eq!(event.transaction.is_empty(), event.r#type() != Type::Captured);
    }
    hold.events
        .iter()
        .map(|event| {
            let (amount, left) = (event.amount.as_ref(), event.remaining.as_ref());
            (event.r#type(), amount.unwrap().amount.as_str(), left.unwrap().amount.as_str())
        })
        .collect()
}

pub(crate) fn part(name: &str, amount: &str) -> wire::CaptureHoldRequest {
    wire::CaptureHoldRequest { amount: Some(eur(amount)), ..capture(name) }
}

pub(crate) fn kept_open(name: &str, amount: &str) -> wire::CaptureHoldRequest {
    wire::CaptureHoldRequest { keep_open: true, ..part(name, amount) }
}

pub(crate) async fn held(client: &mut Client, account: &str, shop: &str, amount: &str) -> String {
    client.hold(&hold(account, shop, amount)).await.unwrap().name
}

#[tokio::test(flavor = "multi_thread")]
async fn available_is_posted_less_held_less_blocked_plus_overdraft_in_every_refusal() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let house = client.account(Some(unbounded())).await;
    let bound = wire::overdraft::Bound::Limit(eur("20"));
    let account = client.account(Some(wire::Overdraft { bound: Some(bound) })).await;
    client.pay(&house, &account, "100").await.unwrap();
    let mut controls = block(1, wire::block::Effect::Debit);
    controls.blocks[0].amount = Some(eur("15"));
    client.control(&account, controls).await.unwrap();
    let first = held(&mut client, &account, &house, "60").await;
    assert_eq!(client.figures(&account).await, ["100.00", "60.00", "45.00"]);

    let figures = [
        ("account", account.as_str()),
        ("currency", "EUR"),
        ("available", "45.00"),
        ("held", "60.00"),
        ("blocked", "15.00"),
        ("limit", "20.00"),
    ];
    let by_hold = why(client.hold(&hold(&account, &house, "45.01")).await);
    let by_increase = why(client.increase(&increase(&first, "45.02")).await);
    let by_payment = why(client.pay(&account, &house, "45.03").await);
    let mut request = hold(&account, &house, "5");
    request.hold.as_mut().unwrap().over_capture = Some(eur("1000"));
    let small = client.hold(&request).await.unwrap().name;
    let by_capture = why(client.capture(&part(&small, "45.04")).await);
    client.release(&release(&small)).await.unwrap();
    for ((reason, found), shortfall) in
        [by_hold, by_increase, by_payment].iter().zip(["0.01", "0.02", "0.03"])
    {
        assert_eq!(*reason, Reason::InsufficientFunds);
        assert_figures(found, &figures);
        assert_eq!(found["shortfall"], shortfall);
    }
    assert_eq!(by_capture.0, Reason::InsufficientFunds);
    assert_figures(&by_capture.1, &[("available", "40.00"), ("held", "65.00")]);
    // What the capture takes beyond its hold is not there.
    assert_eq!(by_capture.1["shortfall"], "0.04");
    assert_eq!(client.figures(&account).await, ["100.00", "60.00", "45.00"]);
    held(&mut client, &account, &house, "45").await;
    assert_eq!(client.figures(&account).await, ["100.00", "105.00", "0.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_hold_says_its_state_whatever_is_asked() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let captured = held(&mut client, &account, &house, "10").await;
    client.capture(&capture(&captured)).await.unwrap();
    let released = held(&mut client, &account, &house, "10").await;
    client.release(&release(&released)).await.unwrap();
    for (name, state) in [(captured, "CAPTURED"), (released, "RELEASED")] {
        let repeat = capture(&name);
        let expected = [("state", state), ("hold", name.as_str())];
        for _ in 0..2 {
            // A decision of business, which the same id repeats.
            let (reason, figures) = why(client.capture(&repeat).await);
            assert_eq!(reason, Reason::HoldFinished);
            assert_figures(&figures, &expected);
        }
        let forced = wire::CaptureHoldRequest {
            force: force(&[wire::Override::HoldExpired, wire::Override::Funds]),
            ..capture(&name)
        };
        let later = shared::clock::Clock::system().now().next();
        for (reason, figures) in [
            why(client.capture(&forced).await),
            why(client.release(&release(&name)).await),
            why(client.extend(&extend(&name, Some(later))).await),
            why(client.increase(&increase(&name, "1")).await),
        ] {
            assert_eq!(reason, Reason::HoldFinished);
            assert_figures(&figures, &expected);
        }
    }
    assert_eq!(client.figures(&account).await, ["90.00", "0.00", "90.00"]);
}

pub(crate) fn bad(field: &str) -> (Reason, String) {
    (Reason::FieldInvalid, field.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_gives_back_in_part_or_all_and_never_more_than_remains() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let name = held(&mut client, &account, &house, "60").await;
    let some = |amount: Money| wire::ReleaseHoldRequest { amount: Some(amount), ..release(&name) };
    let (reason, figures) = why(client.release(&some(eur("60.01"))).await);
    assert_eq!(reason, Reason::CaptureExceedsHold);
    assert_figures(&figures, &[("remaining", "60.00"), ("requested", "60.01")]);
    assert_eq!(
        field(client.release(&some(usd("1"))).await),
        (Reason::CurrencyMismatch, "amount.currency".to_owned())
    );
    assert_eq!(field(client.release(&some(eur("0"))).await), bad("amount.amount"));
    let left = client.release(&some(eur("20"))).await.unwrap();
    assert_eq!(stands(&left), (State::Open, ["40.00", "0.00", "20.00"]));
    assert_eq!(client.figures(&account).await, ["100.00", "40.00", "60.00"]);
    client.capture(&kept_open(&name, "15")).await.unwrap();
    // What was captured makes it captured, though its last act is a release.
    let done = client.release(&release(&name)).await.unwrap();
    assert_eq!(stands(&done), (State::Captured, ["0.00", "15.00", "45.00"]));
    assert_eq!(
        events(&client.read_hold(&name).await),
        [
            (Type::Created, "60.00", "60.00"),
            (Type::Released, "20.00", "40.00"),
            (Type::Captured, "15.00", "25.00"),
            (Type::Released, "25.00", "0.00"),
        ]
    );
    let whole = held(&mut client, &account, &house, "85").await;
    let done = client.release(&release(&whole)).await.unwrap();
    assert_eq!(stands(&done), (State::Released, ["0.00", "0.00", "85.00"]));
    assert_eq!(client.figures(&account).await, ["85.00", "0.00", "85.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_forbid_holds_and_captures_and_never_a_release() {
    use wire::block::Effect;
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let shop = client.account(None).await;
    let names = [
        held(&mut client, &account, &shop, "10").await,
        held(&mut client, &account, &shop, "10").await,
    ];
    let mut honouring = block(2, Effect::Debit);
    honouring.blocks[0].honour_holds = true;
    for (controls, honours) in [(block(1, Effect::Debit), false), (honouring, true)] {
        client.control(&account, controls).await.unwrap();
        let refused = [
            ("HOLD", why(client.hold(&hold(&account, &shop, "1")).await)),
            ("HOLD", why(client.increase(&increase(&names[0], "1")).await)),
            ("DEBIT", why(client.pay(&account, &house, "1").await)),
        ];
        for (direction, (reason, figures)) in refused {
            assert_eq!(reason, Reason::AccountBlocked);
            assert_figures(&figures, &[("direction", direction), ("source", "accounts")]);
            assert_eq!(figures["reason_code"], "COURT_ORDER");
        }
        let captured = client.capture(&kept_open(&names[0], "4")).await;
        if honours {
            assert_eq!(captured.unwrap().hold.unwrap().remaining, Some(eur("6.00")));
        } else {
            let (reason, figures) = why(captured);
            assert_eq!((reason, &*figures["direction"]), (Reason::AccountBlocked, "CAPTURE"));
        }
    }
    client.control(&account, block(3, Effect::All)).await.unwrap();
    assert_eq!(why(client.capture(&capture(&names[0])).await).0, Reason::AccountBlocked);
    for name in &names {
        client.release(&release(name)).await.unwrap();
    }
    assert_eq!(client.figures(&account).await, ["96.00", "0.00", "96.00"]);

    // The destination of a capture may be blocked too; a hold asks it for nothing.
    client.control(&account, block(4, Effect::Credit)).await.unwrap();
    client.control(&shop, block(1, Effect::Credit)).await.unwrap();
    let name = held(&mut client, &account, &shop, "1").await;
    let (reason, figures) = why(client.capture(&capture(&name)).await);
    assert_eq!((reason, figures["account"].as_str()), (Reason::AccountBlocked, shop.as_str()));
    assert_eq!(figures["direction"], "CREDIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increase_is_decided_as_a_new_hold_would_be() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let name = held(&mut client, &account, &house, "60").await;
    let (reason, figures) = why(client.increase(&increase(&name, "40.01")).await);
    assert_eq!(reason, Reason::InsufficientFunds);
    assert_figures(&figures, &[("available", "40.00"), ("held", "60.00"), ("shortfall", "0.01")]);
    let forced = wire::IncreaseHoldRequest {
        force: force(&[wire::Override::Funds]),
        ..increase(&name, "40.01")
    };
    let more = client.increase(&forced).await.unwrap();
    assert_eq!((more.amount, more.remaining), (Some(eur("100.01")), Some(eur("100.01"))));
    assert_eq!(client.figures(&account).await, ["100.00", "100.01", "-0.01"]);
    let dollars = wire::IncreaseHoldRequest { amount: Some(usd("1")), ..increase(&name, "1") };
    assert_eq!(
        field(client.increase(&dollars).await),
        (Reason::CurrencyMismatch, "amount.currency".to_owned())
    );
    // It is captured in whole, though the account had not enough.
    let done = client.capture(&capture(&name)).await.unwrap().hold.unwrap();
    assert_eq!(stands(&done), (State::Captured, ["0.00", "100.01", "0.00"]));
    assert_eq!(client.figures(&account).await, ["-0.01", "0.00", "-0.01"]);
    assert_eq!(events(&client.read_hold(&name).await)[1], (Type::Increased, "40.01", "100.01"));
}

/// Makes one field bad.
type Spoil = fn(&mut wire::Hold);

#[tokio::test(flavor = "multi_thread")]
async fn bad_holds() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let dollars = client.account_in("USD", None).await;
    let cases: [(Spoil, Reason, &str); 11] = [
        (|h| h.account.clear(), Reason::FieldInvalid, "hold.account"),
        (|h| h.destination = h.account.clone(), Reason::FieldInvalid, "hold.destination"),
        (|h| h.amount = None, Reason::FieldInvalid, "hold.amount"),
        (|h| h.amount = Some(eur("0")), Reason::FieldInvalid, "hold.amount.amount"),
        (|h| h.amount = Some(usd("1")), Reason::CurrencyMismatch, "hold.amount.currency"),
        (|h| h.over_capture = Some(eur("-1")), Reason::FieldInvalid, "hold.over_capture.amount"),
        (
            |h| h.over_capture = Some(usd("1")),
            Reason::CurrencyMismatch,
            "hold.over_capture.currency",
        ),
        (|h| h.r#type = "card".to_owned(), Reason::FieldInvalid, "hold.type"),
        (|h| h.description = "x".repeat(1_025), Reason::FieldInvalid, "hold.description"),
        (
            |h| h.force = Some(wire::Force { reason: "no rule".to_owned(), overrides: vec![] }),
            Reason::FieldInvalid,
            "hold.force.overrides",
        ),
        (
            |h| h.expire_time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            Reason::FieldInvalid,
            "hold.expire_time",
        ),
    ];
    for (spoil, reason, path) in cases {
        let mut request = hold(&account, &house, "1");
        spoil(request.hold.as_mut().unwrap());
        assert_eq!(field(client.hold(&request).await), (reason, path.to_owned()));
    }
    let across = hold(&account, &dollars, "1");
    let (reason, path) = field(client.hold(&across).await);
    assert_eq!((reason, path.as_str()), (Reason::CurrencyMismatch, "hold.amount.currency"));
    let nobody = format!("accounts/{}", uuid::Uuid::now_v7());
    for request in [hold(&account, &nobody, "1"), hold(&nobody, &house, "1")] {
        let (reason, figures) = why(client.hold(&request).await);
        assert_eq!((reason, figures["name"].as_str()), (Reason::ResourceNotFound, &*nobody));
    }
    let mut nameless = hold(&account, &house, "1");
    nameless.request_id.clear();
    assert_eq!(field(client.hold(&nameless).await).0, Reason::RequestIdRequired);
    nameless.hold = None;
    nameless.request_id = request_id();
    assert_eq!(field(client.hold(&nameless).await), bad("hold"));

    let mut chosen = hold(&account, &house, "1");
    chosen.hold_id = uuid::Uuid::now_v7().to_string();
    assert_eq!(client.hold(&chosen).await.unwrap().name, format!("holds/{}", chosen.hold_id));
    chosen.request_id = request_id();
    assert_eq!(why(client.hold(&chosen).await).0, Reason::IdTaken);

    let unknown = format!("holds/{}", uuid::Uuid::now_v7());
    for (reason, figures) in [
        why(client.capture(&capture(&unknown)).await),
        why(client.release(&release(&unknown)).await),
        why(client.extend(&extend(&unknown, None)).await),
        why(client.increase(&increase(&unknown, "1")).await),
        why(client.holds.get_hold(wire::GetHoldRequest { name: unknown.clone() }).await),
    ] {
        assert_eq!((reason, figures["name"].as_str()), (Reason::ResourceNotFound, &*unknown));
    }
    assert_eq!(field(client.capture(&capture("holds/7")).await), bad("name"));
    assert_eq!(client.figures(&account).await, ["10.00", "1.00", "9.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_hold_does_not_exist() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let name = held(&mut client, &account, &house, "5").await;
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    assert_eq!(why(stranger.capture(&capture(&name)).await).0, Reason::ResourceNotFound);
    assert_eq!(why(stranger.release(&release(&name)).await).0, Reason::ResourceNotFound);
    let get = wire::GetHoldRequest { name: name.clone() };
    assert_eq!(why(stranger.holds.get_hold(get).await).0, Reason::ResourceNotFound);
    assert_eq!(client.read_hold(&name).await.state(), State::Open);
}

/// Two replicas, each with its own lane, and everybody at once.
#[tokio::test(flavor = "multi_thread")]
async fn holds_together_never_exceed_what_is_there_and_each_ends_once() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..40_usize {
        let (mut client, request) = (clients[n % 2].clone(), hold(&account, &house, "7"));
        callers.spawn(async move { client.hold(&request).await });
    }
    let made: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len(), 14);
    assert_eq!(client.figures(&account).await, ["100.00", "98.00", "2.00"]);

    let mut ends = tokio::task::JoinSet::new();
    for one in &made {
        for client in &clients {
            let (mut one_of_them, name) = (client.clone(), one.name.clone());
            ends.spawn(async move { one_of_them.capture(&capture(&name)).await.map(|_| 1) });
            let (mut one_of_them, name) = (client.clone(), one.name.clone());
            ends.spawn(async move { one_of_them.release(&release(&name)).await.map(|_| 0) });
        }
    }
    let mut captured = 0;
    let mut ended = 0;
    for end in ends.join_all().await {
        match end {
            Ok(one) => (captured, ended) = (captured + one, ended + 1),
            Err(status) => assert_eq!(why::<()>(Err(status)).0, Reason::HoldFinished),
        }
    }
    assert_eq!(ended, 14);
    let left = 10_000 - 700 * captured;
    let left = format!("{}.{:02}", left / 100, left % 100);
    assert_eq!(client.figures(&account).await, [left.as_str(), "0.00", &left]);
}
