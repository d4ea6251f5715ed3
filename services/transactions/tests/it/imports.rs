//! What is brought from another ledger: past times, and no rule stands against it.

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::problem::{Reason, reason_from_name};
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::batch_item::Operation;
use wire::block::Effect;
use wire::limit::Window;

use crate::requests::{assert_figures, field, why};
use crate::setup::{Client, Ledger, block, entry, eur, request_id, transfer};

/// 2027-03-27T12:00:00Z: 13:00 in Zurich.
const START: Timestamp = Timestamp::from_micros(1_806_148_800_000_000);

/// A transfer as another ledger has booked it.
fn import(from: &str, to: &str, amount: &str, day: &str) -> wire::CreateTransactionRequest {
    let transaction = wire::Transaction {
        r#type: "PAYMENT".to_owned(),
        entries: vec![
            entry(from, wire::Direction::Debit, eur(amount)),
            entry(to, wire::Direction::Credit, eur(amount)),
        ],
        booking_date: day.to_owned(),
        import: Some(wire::Import { source: "core-2019".to_owned() }),
        ..Default::default()
    };
    wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    }
}

/// The same otherwise.
fn but(
    request: &wire::CreateTransactionRequest,
    change: impl FnOnce(&mut wire::Transaction),
) -> wire::CreateTransactionRequest {
    let mut changed =
        wire::CreateTransactionRequest { request_id: request_id(), ..request.clone() };
    change(changed.transaction.as_mut().unwrap());
    changed
}

fn sourced(source: &str) -> wire::Import {
    wire::Import { source: source.to_owned() }
}

async fn post(
    client: &mut Client,
    request: &wire::CreateTransactionRequest,
) -> Result<wire::Transaction, Status> {
    let answer = client.transactions.create_transaction(request.clone()).await;
    answer.map(tonic::Response::into_inner)
}

fn independent(requests: Vec<wire::CreateTransactionRequest>) -> wire::ExecuteBatchRequest {
    let items = requests
        .into_iter()
        .map(|request| wire::BatchItem { operation: Some(Operation::Transaction(request)) });
    wire::ExecuteBatchRequest {
        items: items.collect(),
        mode: wire::BatchMode::Independent.into(),
        ..Default::default()
    }
}

fn reason_of(result: &wire::BatchResult) -> Option<Reason> {
    use prost::Message as _;
    let Some(wire::batch_result::Result::Error(status)) = &result.result else { return None };
    let info = status.details.iter().find(|any| any.type_url.ends_with("ErrorInfo")).unwrap();
    let info = tonic_types::pb::ErrorInfo::decode(info.value.as_slice()).unwrap();
    reason_from_name(&info.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn to_import_is_a_permission_of_its_own() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let permissions = ["transactions.transactions.create", "transactions.transactions.force"];
    let mut clerk = ledger.client_of(ledger.tenant, &permissions);
    let request = import(&house, &account, "5", "2020-02-29");
    let preview = wire::CreateTransactionRequest { validate_only: true, ..request.clone() };
    for request in [&request, &preview] {
        let (reason, figures) = why(post(&mut clerk, request).await);
        assert_eq!(reason, Reason::PermissionMissing);
        assert_eq!(figures["permission"], "transactions.transactions.import");
    }
    let plain = but(&request, |transaction| transaction.import = None);
    let batch = independent(vec![request.clone(), plain.clone()]);
    let results = clerk.transactions.execute_batch(batch).await.unwrap().into_inner().results;
    let reasons: Vec<_> = results.iter().map(reason_of).collect();
    assert_eq!(reasons, [Some(Reason::PermissionMissing), None]);
    let item = |request: &wire::CreateTransactionRequest| {
        let request =
            wire::CreateTransactionRequest { request_id: String::new(), ..request.clone() };
        wire::BatchItem { operation: Some(Operation::Transaction(request)) }
    };
    let batch = wire::ExecuteBatchRequest {
        items: vec![item(&plain), item(&request)],
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let (reason, figures) = why(clerk.transactions.execute_batch(batch).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::PermissionMissing, "1"));
    assert_eq!(client.posted(&account).await, "15.00");
    // The refusal is not frozen: whoever may, may with the same id.
    post(&mut client, &request).await.unwrap();
    assert_eq!(client.posted(&account).await, "20.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_says_from_where_and_when_and_nothing_of_the_future() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let good = import(&house, &account, "5", "2027-03-27");
    let tomorrow = Timestamp::from_micros(START.micros() + 1).encode();
    let too_long = "x".repeat(65);
    let bad = [
        (but(&good, |t| t.booking_date.clear()), "transaction.booking_date"),
        (but(&good, |t| t.booking_date = "2027-03-28".to_owned()), "transaction.booking_date"),
        (but(&good, |t| t.booking_date = "2027-02-29".to_owned()), "transaction.booking_date"),
        (but(&good, |t| t.effective_time = Some(tomorrow)), "transaction.effective_time"),
        (but(&good, |t| t.import = Some(sourced(""))), "transaction.import.source"),
        (but(&good, |t| t.import = Some(sourced("old core"))), "transaction.import.source"),
        (but(&good, |t| t.import = Some(sourced(&too_long))), "transaction.import.source"),
    ];
    for (request, path) in &bad {
        let refused = field(post(&mut client, request).await);
        assert_eq!(refused, (Reason::FieldInvalid, (*path).to_owned()), "{request:?}");
    }
    assert_eq!(client.posted(&account).await, "10.00");
    // Without a value date of its own it took effect when its day began.
    let old = post(&mut client, &import(&house, &account, "5", "0001-01-02")).await.unwrap();
    assert_eq!(old.booking_date, "0001-01-02");
    let posted = post(&mut client, &but(&good, |t| t.booking_date = "2024-07-01".to_owned())).await;
    let effective = Timestamp::decode(posted.unwrap().effective_time.unwrap()).unwrap();
    assert_eq!(effective.to_string(), "2024-06-30T22:00:00Z");
}

/// What exceeds the bound of an account, in minor units.
fn excess(ledger: &Ledger, account: &str) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        excess: String,
    }
    let id = account.strip_prefix("accounts/").unwrap();
    let sql = format!("SELECT excess::text AS excess FROM ledger_accounts WHERE id = '{id}'");
    tokio::task::block_in_place(|| {
        let row: Row = diesel::sql_query(sql).get_result(&mut ledger.database.admin()).unwrap();
        row.excess
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_bound_nor_block_nor_limit_stands_against_history() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut controls = block(1, Effect::All);
    controls.limits.push(wire::Limit {
        id: "daily".to_owned(),
        effect: Effect::Debit.into(),
        window: Window::Day.into(),
        max_amount: Some(eur("20")),
        max_count: 1,
        ..Default::default()
    });
    controls.limits.push(wire::Limit {
        id: "single".to_owned(),
        effect: Effect::Debit.into(),
        window: Window::Transaction.into(),
        max_amount: Some(eur("1")),
        ..Default::default()
    });
    client.control(&account, controls.clone()).await.unwrap();
    for _ in 0..3 {
        post(&mut client, &import(&account, &house, "30", "2021-01-04")).await.unwrap();
    }
    assert_eq!(client.figures(&account).await, ["-80.00", "0.00", "-80.00"]);
    assert_eq!(excess(&ledger, &account), "8000");
    // None of it was counted.
    let request = wire::ExplainBalanceRequest { account: account.clone() };
    let explained = client.balances.explain_balance(request).await.unwrap().into_inner();
    let daily = explained.limits.iter().find(|used| used.limit.as_ref().unwrap().id == "daily");
    let daily = daily.unwrap();
    assert_eq!((daily.used_amount.clone(), daily.used_count), (Some(eur("0.00")), 0));

    // All that comes afterwards is judged as ever: only what betters the position passes.
    assert_eq!(why(client.pay(&house, &account, "1").await).0, Reason::AccountBlocked);
    controls.version = 2;
    controls.blocks.clear();
    controls.limits.truncate(1);
    client.control(&account, controls).await.unwrap();
    let (reason, figures) = why(client.pay(&account, &house, "0.01").await);
    assert_eq!(reason, Reason::InsufficientFunds);
    assert_figures(&figures, &[("available", "-80.00"), ("shortfall", "80.01")]);
    client.pay(&house, &account, "79").await.unwrap();
    assert_eq!(excess(&ledger, &account), "100");
    assert_eq!(why(client.pay(&account, &house, "0.01").await).0, Reason::InsufficientFunds);
    client.pay(&house, &account, "31").await.unwrap();
    assert_eq!(excess(&ledger, &account), "0");
    client.pay(&account, &house, "20").await.unwrap();
    // The limit counts what is no history.
    assert_eq!(why(client.pay(&account, &house, "0.01").await).0, Reason::LimitExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_says_so_and_is_imported_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let request = but(&import(&house, &account, "5", "2020-02-29"), |t| {
        t.description = "Rent".to_owned();
        t.external_ids = [("CORE".to_owned(), "4711".to_owned())].into();
    });
    let posted = post(&mut client, &request).await.unwrap();
    assert_eq!(posted.import, Some(sourced("core-2019")));
    let get = wire::GetTransactionRequest { name: posted.name.clone() };
    let read = client.transactions.get_transaction(get).await.unwrap().into_inner();
    assert_eq!(read, posted);
    assert!(!read.redacted && read.booking_date == "2020-02-29");

    let again = client.transactions.create_transaction(request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), posted);
    let mut other = request.clone();
    other.transaction.as_mut().unwrap().import = Some(sourced("core-2020"));
    assert_eq!(why(post(&mut client, &other).await).0, Reason::RequestIdReused);
    let mut plain = request;
    plain.transaction.as_mut().unwrap().import = None;
    assert_eq!(why(post(&mut client, &plain).await).0, Reason::RequestIdReused);
    assert_eq!(client.posted(&account).await, "15.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_stays_out_of_what_is_closed() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    tokio::task::block_in_place(|| {
        let tenant = ledger.tenant.uuid();
        let sql = format!(
            "INSERT INTO calendars (tenant_id, closed_through, soft_closed_through) \
             VALUES ('{tenant}', '2020-12-31', '2021-01-31') ON CONFLICT (tenant_id) DO UPDATE SET \
             closed_through = '2020-12-31', soft_closed_through = '2021-01-31'"
        );
        diesel::sql_query(sql).execute(&mut ledger.database.admin()).unwrap();
    });
    let on = |day: &str| import(&house, &account, "1", day);
    assert_eq!(why(post(&mut client, &on("2020-12-31")).await).0, Reason::PeriodClosed);
    let permissions = ["transactions.transactions.create", "transactions.transactions.import"];
    let mut clerk = ledger.client_of(ledger.tenant, &permissions);
    assert_eq!(why(post(&mut clerk, &on("2021-01-31")).await).0, Reason::PeriodClosed);
    post(&mut client, &on("2021-01-31")).await.unwrap();
    post(&mut clerk, &on("2021-02-01")).await.unwrap();
    // A late item is booked when it can be, and keeps its day as its value date.
    let late = but(&on("2020-12-31"), |t| t.late = wire::LatePosting::NextOpenPeriod.into());
    let posted = post(&mut clerk, &late).await.unwrap();
    let effective = Timestamp::decode(posted.effective_time.unwrap()).unwrap();
    assert_eq!(posted.booking_date, "2021-02-01");
    assert_eq!(effective.to_string(), "2020-12-30T23:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_the_present_may_be_one_act() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let old = import(&account, &house, "30", "2020-02-29");
    let mixed = |paid: &str| {
        let mut imported = old.clone();
        imported.request_id.clear();
        let mut payment = transfer(&account, &house, paid);
        payment.request_id.clear();
        let operations = [Operation::Transaction(imported), Operation::Transfer(payment)];
        wire::ExecuteBatchRequest {
            items: operations
                .map(|operation| wire::BatchItem { operation: Some(operation) })
                .into(),
            mode: wire::BatchMode::AllOrNothing.into(),
            request_id: request_id(),
            ..Default::default()
        }
    };
    // What is imported is there for what comes behind it, and nothing of either stays.
    let (reason, figures) = why(client.transactions.execute_batch(mixed("1")).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::InsufficientFunds, "1"));
    assert_eq!(figures["available"], "-20.00");
    assert_eq!(client.posted(&account).await, "10.00");
    client.pay(&house, &account, "21").await.unwrap();
    let results = client.transactions.execute_batch(mixed("1")).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 2);
    assert_eq!(client.figures(&account).await, ["0.00", "0.00", "0.00"]);
    assert_eq!(excess(&ledger, &account), "0");
}
