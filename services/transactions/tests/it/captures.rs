//! Captures: what is posted of a hold, and how much of it may be.

use shared::problem::Reason;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};
use wire::hold::State;
use wire::hold_event::Type;

use crate::holds::{bad, events, held, kept_open, part, stands, usd};
use crate::requests::{assert_figures, capture, field, hold, release, why};
use crate::setup::{Ledger, entry, eur, unbounded};

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_in_part_gives_the_rest_back_unless_the_hold_is_kept_open() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let shop = client.account(None).await;
    let whole = held(&mut client, &account, &shop, "10").await;
    let done = client.capture(&capture(&whole)).await.unwrap();
    let posted = done.transaction.unwrap();
    assert_eq!((posted.r#type.as_str(), &posted.hold), ("CAPTURE", &whole));
    let lines: Vec<_> = posted.entries.iter().map(|e| (e.direction(), e.amount.clone())).collect();
    assert_eq!(lines, [(Debit, Some(eur("10.00"))), (Credit, Some(eur("10.00")))]);
    assert_eq!(stands(&done.hold.unwrap()), (State::Captured, ["0.00", "10.00", "0.00"]));
    let get = wire::GetTransactionRequest { name: posted.name.clone() };
    assert_eq!(client.transactions.get_transaction(get).await.unwrap().into_inner(), posted);

    let one = held(&mut client, &account, &shop, "60").await;
    let done = client.capture(&part(&one, "25")).await.unwrap().hold.unwrap();
    assert_eq!(stands(&done), (State::Captured, ["0.00", "25.00", "35.00"]));
    let read = client.read_hold(&one).await;
    assert_eq!(
        events(&read),
        [
            (Type::Created, "60.00", "60.00"),
            (Type::Captured, "25.00", "35.00"),
            (Type::Released, "35.00", "0.00"),
        ]
    );
    assert_eq!(client.figures(&account).await, ["65.00", "0.00", "65.00"]);
    assert_eq!(client.posted(&shop).await, "35.00");

    let two = held(&mut client, &account, &shop, "60").await;
    for (amount, left) in [("20", "40.00"), ("15", "25.00")] {
        let done = client.capture(&kept_open(&two, amount)).await.unwrap().hold.unwrap();
        assert_eq!((done.state(), done.remaining.unwrap()), (State::Open, eur(left)));
    }
    assert_eq!(client.figures(&account).await, ["30.00", "25.00", "5.00"]);
    let last = client.capture(&capture(&two)).await.unwrap().hold.unwrap();
    assert_eq!(stands(&last), (State::Captured, ["0.00", "60.00", "0.00"]));
    assert_eq!(client.figures(&account).await, ["5.00", "0.00", "5.00"]);
    assert_eq!(events(&client.read_hold(&two).await).len(), 4);

    // Kept open to its end it is finished too: there is nothing more to wait for.
    let three = held(&mut client, &account, &shop, "5").await;
    let done = client.capture(&kept_open(&three, "5")).await.unwrap().hold.unwrap();
    assert_eq!(done.state(), State::Captured);
    assert_eq!(client.posted(&house).await, "-100.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_exceed_a_hold_as_far_as_it_says_and_as_there_is_money() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("70").await;
    let exact = held(&mut client, &account, &house, "10").await;
    let (reason, figures) = why(client.capture(&part(&exact, "10.01")).await);
    assert_eq!(reason, Reason::CaptureExceedsHold);
    let hold_name = exact.as_str();
    assert_figures(
        &figures,
        &[("hold", hold_name), ("remaining", "10.00"), ("requested", "10.01"), ("currency", "EUR")],
    );
    client.release(&release(&exact)).await.unwrap();

    let over = |amount: &str| {
        let mut request = hold(&account, &house, amount);
        request.hold.as_mut().unwrap().over_capture = Some(eur("12"));
        request
    };
    let tip = client.hold(&over("50")).await.unwrap().name;
    client
        .release(&wire::ReleaseHoldRequest { amount: Some(eur("5")), ..release(&tip) })
        .await
        .unwrap();
    client.capture(&kept_open(&tip, "40")).await.unwrap();
    // Of 50 and 12 more, 5 were given back and 40 were taken.
    let (_, figures) = why(client.capture(&part(&tip, "17.01")).await);
    assert_figures(&figures, &[("remaining", "17.00"), ("requested", "17.01")]);
    let done = client.capture(&kept_open(&tip, "6")).await.unwrap().hold.unwrap();
    assert_eq!(stands(&done), (State::Open, ["0.00", "46.00", "5.00"]));
    // Nothing remains, but more may come; it has to say how much.
    assert_eq!(field(client.capture(&capture(&tip)).await), bad("amount"));
    let done = client.capture(&kept_open(&tip, "11")).await.unwrap().hold.unwrap();
    assert_eq!(stands(&done), (State::Captured, ["0.00", "57.00", "5.00"]));
    assert_eq!(client.figures(&account).await, ["13.00", "0.00", "13.00"]);
    let open = client.hold(&over("13")).await.unwrap().name;
    let (reason, figures) = why(client.capture(&part(&open, "14")).await);
    assert_eq!(reason, Reason::InsufficientFunds);
    assert_figures(&figures, &[("available", "0.00"), ("held", "13.00"), ("shortfall", "1.00")]);
    client.pay(&house, &account, "1").await.unwrap();
    client.capture(&part(&open, "14")).await.unwrap();
    assert_eq!(client.figures(&account).await, ["0.00", "0.00", "0.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn net_fee_and_exchange_are_one_capture() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account) = client.funded("100").await;
    let (fees, desk) = (client.account(None).await, client.account(Some(unbounded())).await);
    let desk_usd = client.account_in("USD", Some(unbounded())).await;
    let shop = client.account_in("USD", None).await;
    let name = held(&mut client, &account, "", "100").await;
    let entries = |taken: &str, back: &str| {
        vec![
            entry(&account, Debit, eur(taken)),
            entry(&account, Credit, eur(back)),
            entry(&fees, Credit, eur("1.50")),
            entry(&desk, Credit, eur("88.50")),
            entry(&desk_usd, Debit, usd("95.20")),
            entry(&shop, Credit, usd("95.20")),
        ]
    };
    let own = |entries| wire::CaptureHoldRequest { entries, ..capture(&name) };
    let done = client.capture(&own(entries("95", "5"))).await.unwrap();
    // On balance.
    assert_eq!(stands(&done.hold.unwrap()), (State::Captured, ["0.00", "90.00", "10.00"]));
    assert_eq!(client.figures(&account).await, ["10.00", "0.00", "10.00"]);
    assert_eq!(client.posted(&fees).await, "1.50");
    assert_eq!(client.posted(&shop).await, "95.20");
    let available: Vec<_> = done.transaction.unwrap().entries[..2]
        .iter()
        .map(|entry| entry.balance.clone().unwrap().available.unwrap().amount)
        .collect();
    assert_eq!(available, ["5.00", "10.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_capture_that_do_not_fit_its_hold() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let (dollars, more) = (
        client.account_in("USD", Some(unbounded())).await,
        client.account_in("USD", Some(unbounded())).await,
    );
    let name = held(&mut client, &account, "", "50").await;
    assert_eq!(field(client.capture(&capture(&name)).await), bad("entries"));
    assert_eq!(field(client.capture(&part(&name, "1")).await), bad("entries"));
    let own = |from: &str, to: &str, amount: Money| wire::CaptureHoldRequest {
        entries: vec![entry(from, Debit, amount.clone()), entry(to, Credit, amount)],
        ..capture(&name)
    };
    // Nothing is taken from the account, or it even gets something.
    let other = client.account(None).await;
    assert_eq!(field(client.capture(&own(&house, &other, eur("1"))).await), bad("entries"));
    assert_eq!(field(client.capture(&own(&house, &account, eur("1"))).await), bad("entries"));
    let itself = own(&account, &account, eur("1"));
    assert_eq!(field(client.capture(&itself).await), bad("entries"));
    let (reason, figures) = why(client.capture(&own(&account, &house, eur("50.01"))).await);
    assert_eq!((reason, figures["remaining"].as_str()), (Reason::CaptureExceedsHold, "50.00"));
    let mut both = own(&account, &house, eur("1"));
    both.amount = Some(eur("1"));
    assert_eq!(field(client.capture(&both).await), bad("amount"));
    let mut unbalanced = own(&account, &house, eur("1"));
    unbalanced.entries[0].amount = Some(eur("2"));
    let (reason, path) = field(client.capture(&unbalanced).await);
    assert_eq!((reason, path.as_str()), (Reason::Unbalanced, "entries"));
    // More than the hold has, if it were of its currency.
    let foreign = client.capture(&own(&account, &dollars, usd("51"))).await;
    assert_eq!(field(foreign), (Reason::CurrencyMismatch, "entries[0].amount.currency".to_owned()));
    // Much in another currency is no more of the hold.
    let mut mixed = own(&account, &house, eur("1"));
    mixed.entries.extend([entry(&dollars, Debit, usd("9000")), entry(&more, Credit, usd("9000"))]);
    client.capture(&wire::CaptureHoldRequest { keep_open: true, ..mixed }).await.unwrap();
    assert_eq!(client.figures(&account).await, ["99.00", "49.00", "50.00"]);

    let shop_hold = held(&mut client, &account, &house, "1").await;
    let foreign = wire::CaptureHoldRequest { amount: Some(usd("1")), ..capture(&shop_hold) };
    let (reason, path) = field(client.capture(&foreign).await);
    assert_eq!((reason, path.as_str()), (Reason::CurrencyMismatch, "amount.currency"));
}
