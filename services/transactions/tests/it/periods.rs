//! Periods: closed in their order, and for good, whoever posts meanwhile.

use std::collections::HashMap;

use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::LatePosting::NextOpenPeriod;
use wire::period::State;

use crate::requests::{field, why};
use crate::setup::{Client, Ledger, request_id, transfer, unbounded};

/// Noon of 22 November 2026, in UTC.
pub(crate) fn noon() -> MockClock {
    MockClock::at(Timestamp::from_micros(1_795_348_800_000_000))
}

fn name(month: &str) -> String {
    format!("periods/{month}")
}

impl Client {
    pub(crate) async fn soft_close(&mut self, month: &str) -> Result<wire::Period, Status> {
        let request = wire::SoftClosePeriodRequest { name: name(month), ..Default::default() };
        self.statements.soft_close_period(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn close_period(&mut self, month: &str) -> Result<wire::Period, Status> {
        let request = wire::ClosePeriodRequest { name: name(month), ..Default::default() };
        self.statements.close_period(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn reopen(&mut self, month: &str) -> Result<wire::Period, Status> {
        let request = wire::ReopenPeriodRequest {
            name: name(month),
            reason_code: "LATE_INVOICE".to_owned(),
            ..Default::default()
        };
        self.statements.reopen_period(request).await.map(tonic::Response::into_inner)
    }

    async fn periods(&mut self, page_size: i32, page_token: &str) -> wire::ListPeriodsResponse {
        let request = wire::ListPeriodsRequest { page_size, page_token: page_token.to_owned() };
        self.statements.list_periods(request).await.unwrap().into_inner()
    }

    pub(crate) async fn balance_on(&mut self, account: &str, day: &str) -> wire::Balance {
        let as_of = wire::get_balance_request::AsOf::BookingDate(day.to_owned());
        let request = wire::GetBalanceRequest { account: account.to_owned(), as_of: Some(as_of) };
        self.balances.get_balance(request).await.unwrap().into_inner()
    }
}

fn booked(from: &str, to: &str, day: &str) -> wire::CreateTransferRequest {
    wire::CreateTransferRequest { booking_date: day.to_owned(), ..transfer(from, to, "1") }
}

fn out_of_order(answer: Result<wire::Period, Status>) -> [String; 3] {
    let (reason, figures) = why(answer);
    assert_eq!(reason, Reason::InvalidTransition);
    ["state", "allowed", "next"].map(|figure| figures[figure].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_closed_is_refused() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    for month in ["", "2026", "2026-13", "2026-9", "2026-09-01"] {
        let malformed = (Reason::FieldInvalid, "name".to_owned());
        assert_eq!(field(client.close_period(month).await), malformed, "{month}");
    }
    for month in ["2026-11", "2026-12"] {
        assert_eq!(field(client.close_period(month).await).1, "name");
        assert_eq!(field(client.soft_close(month).await).1, "name");
    }
    assert_eq!(out_of_order(client.reopen("2026-10").await)[2], "NONE");
    let no_reason = wire::ReopenPeriodRequest { name: name("2026-10"), ..Default::default() };
    assert_eq!(field(client.statements.reopen_period(no_reason).await).1, "reason_code");

    client.close_period("2026-08").await.unwrap();
    let next = "periods/2026-09";
    let both = "OPEN, SOFT_CLOSED";
    assert_eq!(out_of_order(client.close_period("2026-08").await), ["CLOSED", both, next]);
    assert_eq!(out_of_order(client.close_period("2026-07").await), ["CLOSED", both, next]);
    assert_eq!(out_of_order(client.close_period("2026-10").await), ["OPEN", both, next]);
    assert_eq!(out_of_order(client.soft_close("2026-08").await), ["CLOSED", "OPEN", next]);
    client.soft_close("2026-10").await.unwrap();
    assert_eq!(out_of_order(client.soft_close("2026-09").await)[0], "SOFT_CLOSED");
    let last = "periods/2026-10";
    assert_eq!(out_of_order(client.reopen("2026-08").await)[2], last);
    assert_eq!(out_of_order(client.reopen("2026-11").await)[0], "OPEN");

    let clerk = ["transactions.periods.list", "transactions.periods.reopen"];
    let mut clerk = ledger.client_of(ledger.tenant, &clerk);
    assert_eq!(why(clerk.close_period("2026-09").await).0, Reason::PermissionMissing);
    clerk.reopen("2026-10").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_listed_as_they_were_left() {
    let clock = noon();
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let untouched = client.periods(0, "").await;
    assert_eq!(untouched.periods.len(), 1);
    assert_eq!(
        (&*untouched.periods[0].name, untouched.periods[0].state()),
        ("periods/2026-11", State::Open)
    );

    let request_id = request_id();
    let request = wire::ClosePeriodRequest {
        name: name("2026-07"),
        request_id: request_id.clone(),
        validate_only: true,
    };
    let preview = client.statements.close_period(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.periods(0, "").await, untouched);
    let request = wire::ClosePeriodRequest { validate_only: false, ..request };
    let first = client.statements.close_period(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, preview);
    clock.advance(std::time::Duration::from_secs(60));
    client.soft_close("2026-09").await.unwrap();
    let again = client.statements.close_period(request.clone()).await.unwrap();
    assert!(again.metadata().contains_key("strongroom-replayed"));
    assert_eq!(again.into_inner(), first);
    let other = wire::ClosePeriodRequest { name: name("2026-08"), ..request };
    assert_eq!(why(client.statements.close_period(other).await).0, Reason::RequestIdReused);

    let all = client.periods(0, "").await.periods;
    let states: Vec<_> = all.iter().map(|p| (p.name.as_str(), p.state())).collect();
    assert_eq!(
        states,
        [
            ("periods/2026-11", State::Open),
            ("periods/2026-10", State::Open),
            ("periods/2026-09", State::SoftClosed),
            ("periods/2026-08", State::SoftClosed),
            ("periods/2026-07", State::Closed),
        ]
    );
    assert_eq!((&all[4], all[1].update_time), (&first, None));
    // What brought it with it, changed it.
    assert_eq!((all[3].update_time, &all[3].principal), (all[2].update_time, &all[2].principal));
    assert!(!all[2].principal.is_empty());
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.periods(2, &token).await;
        found.extend(page.periods);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, all);

    assert_eq!(client.reopen("2026-09").await.unwrap().state(), State::Open);
    assert_eq!(client.reopen("2026-08").await.unwrap().state(), State::Open);
    assert_eq!(client.reopen("2026-07").await.unwrap().state(), State::Open);
    let again = client.periods(0, "").await.periods;
    assert!(again.iter().all(|period| period.state() == State::Open));
    assert_eq!(client.close_period("2026-07").await.unwrap().state(), State::Closed);

    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    assert_eq!(ledger.client_of(other, &["*"]).periods(0, "").await, untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_refused_or_booked_on_the_next_open_day() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let (house, shop) = (client.account(Some(unbounded())).await, client.account(None).await);
    let late = |day: &str| wire::CreateTransferRequest {
        late: NextOpenPeriod.into(),
        ..booked(&house, &shop, day)
    };
    client.close_period("2026-08").await.unwrap();
    client.soft_close("2026-09").await.unwrap();
    let rights = ["transactions.transactions.create", "transactions.balances.get"];
    let mut clerk = ledger.client_of(ledger.tenant, &rights);
    for (day, state) in [("2026-08-31", "CLOSED"), ("2026-09-01", "SOFT_CLOSED")] {
        let (reason, figures) = why(clerk.transfer(&booked(&house, &shop, day)).await);
        assert_eq!(reason, Reason::PeriodClosed);
        let expected = [("period", format!("periods/{}", &day[..7])), ("state", state.to_owned())];
        for (figure, value) in expected {
            assert_eq!(figures[figure], value);
        }
    }
    assert_eq!(
        field(client.transfer(&booked(&house, &shop, "2026-11-23")).await).1,
        "booking_date"
    );

    // Booked where it may be, with its value date kept: midnight in Zurich.
    let posted = clerk.transfer(&late("2026-08-31")).await.unwrap();
    assert_eq!(posted.booking_date, "2026-10-01");
    let value = Timestamp::decode(posted.effective_time.unwrap()).unwrap();
    assert_eq!(value.to_string(), "2026-08-30T22:00:00Z");
    // Who may book where it is closed softly is late there only in what is closed for good.
    let posted = client.transfer(&late("2026-08-31")).await.unwrap();
    assert_eq!(posted.booking_date, "2026-09-01");
    let posted = client.transfer(&booked(&house, &shop, "2026-09-15")).await.unwrap();
    assert_eq!(posted.booking_date, "2026-09-15");
    for (day, amount) in [
        ("2026-08-31", "0.00"),
        ("2026-09-01", "1.00"),
        ("2026-09-30", "2.00"),
        ("2026-10-01", "3.00"),
    ] {
        assert_eq!(client.balance_on(&shop, day).await.posted.unwrap().amount, amount, "{day}");
    }
    client.reopen("2026-09").await.unwrap();
    assert_eq!(clerk.transfer(&late("2026-08-31")).await.unwrap().booking_date, "2026-09-01");

    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let (house, shop) = (stranger.account(Some(unbounded())).await, stranger.account(None).await);
    stranger.transfer(&booked(&house, &shop, "2026-08-31")).await.unwrap();
}

/// What came of the postings of one caller: how many were posted before the first was refused.
async fn post_until_closed(mut client: Client, house: String, shop: String) -> i64 {
    for posted in 0.. {
        match client.transfer(&booked(&house, &shop, "2026-10-31")).await {
            Ok(_) => {}
            refused => {
                assert_eq!(why(refused).0, Reason::PeriodClosed);
                return posted;
            }
        }
    }
    unreachable!("the month is closed at some time")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_booked_in_a_month_once_it_is_closed() {
    let ledger = Ledger::start_in(&noon()).await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let mut accounts = HashMap::new();
    for _ in 0..3 {
        accounts.insert(client.account(Some(unbounded())).await, client.account(None).await);
    }
    let other = ledger.client_at(&replica, ledger.tenant, &["*"]);
    let posters: Vec<_> = accounts
        .iter()
        .flat_map(|(house, shop)| [(&client, house, shop), (&other, house, shop)])
        .flat_map(|poster| [poster; 3])
        .map(|(client, house, shop)| {
            tokio::spawn(post_until_closed(client.clone(), house.clone(), shop.clone()))
        })
        .collect();
    let first = accounts.values().next().unwrap();
    while client.balance(first).await.entry_seq < 20 {}
    client.close_period("2026-10").await.unwrap();
    let mut closed = 0;
    for shop in accounts.values() {
        let posted = client.balance_on(shop, "2026-10-31").await.posted_credits.unwrap().amount;
        closed += posted.strip_suffix(".00").unwrap().parse::<i64>().unwrap();
    }
    let mut posted = 0;
    for poster in posters {
        posted += poster.await.unwrap();
    }
    assert_eq!(posted, closed);
    // The clock of the other replica may be behind: its day is then in the month.
    let behind = MockClock::at(Timestamp::from_micros(1_793_448_000_000_000));
    let replica = ledger.replica_at(&behind.clock()).await;
    let mut behind = ledger.client_at(&replica, ledger.tenant, &["*"]);
    let (house, shop) = (behind.account(Some(unbounded())).await, behind.account(None).await);
    let posted = behind.pay(&house, &shop, "1").await.unwrap();
    assert_eq!(posted.booking_date, "2026-11-01");
}
