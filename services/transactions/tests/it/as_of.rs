//! Balances as of a day or a time, against a reference that adds up every entry.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Text, Uuid};
use jiff::tz::TimeZone;
use shared::ids::TenantId;
use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::{Day, Timestamp};
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::get_balance_request::AsOf;
use wire::{AccountClass, Direction, LatePosting};

use crate::requests::field;
use crate::setup::{Client, Ledger, entry, eur, request_id, unbounded};

const POSTINGS: u64 = 70;
const DAY_US: i64 = 86_400_000_000;

/// Random numbers that are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// So many microseconds before a time.
    fn before(&mut self, time: Timestamp, days: u64) -> Timestamp {
        let micros = self.roll(days * 86_400_000_000);
        Timestamp::from_micros(time.micros() - i64::try_from(micros).unwrap())
    }
}

/// An entry as the reference has it.
struct Entry {
    account: String,
    debit: i64,
    credit: i64,
    booking: Day,
    effective: Timestamp,
    recorded: Timestamp,
    balance: wire::EntryBalance,
}

fn cents(amount: &str) -> i64 {
    amount.replace('.', "").parse().unwrap()
}

fn read(posted: &wire::Transaction) -> Vec<Entry> {
    let time = |time: Option<prost_types::Timestamp>| Timestamp::decode(time.unwrap()).unwrap();
    let entry = |entry: &wire::Entry| {
        let amount = cents(&entry.amount.as_ref().unwrap().amount);
        let is_debit = entry.direction() == Direction::Debit;
        Entry {
            account: entry.account.clone(),
            debit: if is_debit { amount } else { 0 },
            credit: if is_debit { 0 } else { amount },
            booking: Day::parse(&posted.booking_date).unwrap(),
            effective: time(posted.effective_time),
            recorded: time(posted.record_time),
            balance: entry.balance.clone().unwrap(),
        }
    };
    posted.entries.iter().map(entry).collect()
}

impl Client {
    async fn balance_as_of(&mut self, account: &str, as_of: AsOf) -> Result<wire::Balance, Status> {
        let request = wire::GetBalanceRequest { account: account.to_owned(), as_of: Some(as_of) };
        self.balances.get_balance(request).await.map(tonic::Response::into_inner)
    }

    /// Asserts what is posted as of a day or a time: the sums of the entries before it.
    async fn assert_sums<'a>(
        &mut self,
        account: &str,
        as_of: AsOf,
        before: impl Iterator<Item = &'a Entry>,
    ) {
        let sums = before
            .filter(|entry| entry.account == account)
            .fold((0, 0), |sums, entry| (sums.0 + entry.debit, sums.1 + entry.credit));
        let found = self.balance_as_of(account, as_of.clone()).await.unwrap();
        let posted = (units(found.posted_debits.as_ref()), units(found.posted_credits.as_ref()));
        assert_eq!(posted, sums, "{as_of:?}");
        assert_eq!(units(found.posted.as_ref()).abs(), (sums.0 - sums.1).abs());
        assert_eq!((found.held, found.available, found.version), (None, None, 0));
    }

    /// Asserts what an account had at a time: what its last entry left.
    async fn assert_recorded(&mut self, account: &str, time: Timestamp, entries: &[Entry]) {
        let mut own = entries.iter().filter(|entry| entry.account == account);
        let last = own.rfind(|entry| entry.recorded <= time);
        let as_of = AsOf::RecordTime(time.encode());
        let found = self.balance_as_of(account, as_of).await.unwrap();
        assert_eq!(found.posted_debits, None);
        match last {
            None => assert_eq!((found.posted, found.entry_seq), (Some(eur("0.00")), 0)),
            Some(last) => {
                let expected = last.balance.clone();
                assert_eq!((found.posted, found.available), (expected.posted, expected.available));
                let places = (expected.entry_seq, expected.version);
                assert_eq!((found.entry_seq, found.version), places);
                assert_eq!(found.record_time, Some(last.recorded.encode()));
            }
        }
    }
}

fn units(money: Option<&Money>) -> i64 {
    cents(&money.unwrap().amount)
}

/// A tenant in a time zone.
fn tenant_in(ledger: &Ledger, zone: &str) -> TenantId {
    tokio::task::block_in_place(|| {
        let tenant = ledger.database.tenant();
        let moved = diesel::sql_query("UPDATE tenants SET time_zone = $1 WHERE id = $2")
            .bind::<Text, _>(zone)
            .bind::<Uuid, _>(tenant);
        assert_eq!(moved.execute(&mut ledger.database.owner()).unwrap(), 1);
        tenant
    })
}

/// What is posted is booked and takes effect whenever it may.
async fn post(
    client: &mut Client,
    accounts: &[String],
    (clock, zone): (&MockClock, &TimeZone),
    dice: &mut Dice,
) -> wire::Transaction {
    let now = clock.clock().now();
    let amount = eur(&format!("{}.{:02}", dice.roll(50), 1 + dice.roll(99)));
    let from = usize::try_from(dice.roll(2)).unwrap();
    let (debit, credit) = (&accounts[from], &accounts[1 - from]);
    let mut transaction = wire::Transaction {
        r#type: "PAY".to_owned(),
        entries: vec![
            entry(debit, Direction::Debit, amount.clone()),
            entry(credit, Direction::Credit, amount),
        ],
        late: LatePosting::NextOpenPeriod.into(),
        ..Default::default()
    };
    let day = dice.before(now, 20).day_in(zone);
    let past = dice.before(now, 20);
    match dice.roll(6) {
        0 | 1 => {}
        2 => transaction.booking_date = day.to_string(),
        3 => transaction.effective_time = Some(past.encode()),
        4 => {
            transaction.booking_date = day.to_string();
            transaction.effective_time = Some(past.encode());
        }
        _ => {
            transaction.booking_date = day.to_string();
            transaction.import = Some(wire::Import { source: "old-ledger".to_owned() });
        }
    }
    if dice.roll(3) == 0 {
        // At midnight, or a microsecond before.
        let midnight = day.start_in(zone).micros() - i64::try_from(dice.roll(2)).unwrap();
        transaction.effective_time = Some(Timestamp::from_micros(midnight).encode());
    }
    let request = wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    };
    client.transactions.create_transaction(request).await.unwrap().into_inner()
}

async fn check_zone(name: &str, dice: &mut Dice) {
    let clock = &MockClock::at(Timestamp::from_micros(1_792_000_000_000_000));
    let ledger = &Ledger::start_in(clock).await;
    let zone = TimeZone::get(name).unwrap();
    let mut client = ledger.client_of(tenant_in(ledger, name), &["*"]);
    let asset = wire::LedgerAccount {
        currency: "EUR".to_owned(),
        class: AccountClass::Asset.into(),
        overdraft: Some(unbounded()),
        ..Default::default()
    };
    let asset = wire::RegisterLedgerAccountRequest { account: Some(asset), ..Default::default() };
    let asset = client.ledger.register_ledger_account(asset).await.unwrap().into_inner().name;
    let limit = wire::Overdraft { bound: Some(wire::overdraft::Bound::Limit(eur("100000"))) };
    let accounts = [asset, client.account(Some(limit)).await];
    let mut entries = Vec::new();
    for n in 0..POSTINGS {
        if n == POSTINGS - 10 {
            client.close_period("2026-10").await.unwrap();
        }
        entries.extend(read(&post(&mut client, &accounts, (clock, &zone), dice).await));
        clock.advance(Duration::from_micros(1 + dice.roll(72_000_000_000)));
    }
    let now = clock.clock().now();
    let today = now.day_in(&zone);
    let mut day = entries.iter().map(|entry| entry.booking).min().unwrap().previous();
    while day <= today {
        for account in &accounts {
            let before = entries.iter().filter(|entry| entry.booking <= day);
            client.assert_sums(account, AsOf::BookingDate(day.to_string()), before).await;
        }
        day = day.next();
    }
    let edges = entries.iter().flat_map(|entry| {
        let midnight = entry.effective.day_in(&zone).next().start_in(&zone);
        [entry.effective, entry.recorded, midnight]
    });
    let times = edges.flat_map(|time| [time.micros() - 1, time.micros(), time.micros() + 1]);
    let mut times: Vec<i64> = times.filter(|time| *time <= now.micros()).collect();
    times.sort_unstable();
    times.dedup();
    for (n, time) in times.into_iter().enumerate() {
        let (time, account) = (Timestamp::from_micros(time), &accounts[n % 2]);
        let before = entries.iter().filter(|entry| entry.effective <= time);
        client.assert_sums(account, AsOf::EffectiveTime(time.encode()), before).await;
        client.assert_recorded(account, time, &entries).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_as_of_the_past_are_what_the_entries_say() {
    let mut dice = Dice(0x5eed_0000_0001);
    // The furthest ahead and behind, and those that leave summer time meanwhile.
    for zone in ["Pacific/Kiritimati", "Europe/Zurich", "America/Los_Angeles", "Etc/GMT+12"] {
        Box::pin(check_zone(zone, &mut dice)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yet_is_refused_and_what_was_never_is_zero() {
    let clock = crate::periods::noon();
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (_, account) = client.funded("10").await;
    let now = clock.clock().now();
    let later = Timestamp::from_micros(now.micros() + 1).encode();
    let invalid = |name: &str| (Reason::FieldInvalid, name.to_owned());
    for (as_of, name) in [
        (AsOf::BookingDate("2026-11-23".to_owned()), "booking_date"),
        (AsOf::BookingDate("2026-11-3".to_owned()), "booking_date"),
        (AsOf::BookingDate(String::new()), "booking_date"),
        (AsOf::EffectiveTime(later), "effective_time"),
        (AsOf::RecordTime(later), "record_time"),
        (AsOf::RecordTime(prost_types::Timestamp { seconds: 0, nanos: 1 }), "record_time"),
    ] {
        assert_eq!(field(client.balance_as_of(&account, as_of).await), invalid(name));
    }
    let first = Timestamp::from_micros(-62_135_596_800_000_000);
    let before = Timestamp::from_micros(now.micros() - DAY_US);
    for time in [first, before] {
        client.assert_sums(&account, AsOf::EffectiveTime(time.encode()), [].iter()).await;
        client.assert_recorded(&account, time, &[]).await;
    }
    client.assert_sums(&account, AsOf::BookingDate("0001-01-01".to_owned()), [].iter()).await;
    let today = client.balance_on(&account, "2026-11-22").await;
    assert_eq!(today.posted, Some(eur("10.00")));
    // Another tenant has no such account.
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let unknown = stranger.balance_as_of(&account, AsOf::BookingDate("2026-11-01".to_owned()));
    assert_eq!(crate::requests::why(unknown.await).0, Reason::ResourceNotFound);
}
