//! Bad requests, each with its reason and field, and nothing changed.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit, Unspecified};

use crate::requests::field;
use crate::setup::{Ledger, entry, eur, request_id, transfer};

#[tokio::test(flavor = "multi_thread")]
async fn bad_transactions() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (a, b) = client.funded("10").await;
    let usd = Money { currency: "XQX".to_owned(), amount: "1".to_owned() };
    let long = "9".repeat(39);
    let many = || vec![entry(&a, Debit, eur("1")); 1_001];
    let pair = |from: wire::Entry| vec![from, entry(&b, Credit, eur("1"))];
    let cases = [
        (vec![], Reason::FieldInvalid, "transaction.entries"),
        (many(), Reason::TooManyEntries, "transaction.entries"),
        (pair(entry(&a, Debit, eur("2"))), Reason::Unbalanced, "transaction.entries"),
        (pair(entry("a", Debit, eur("1"))), Reason::FieldInvalid, "transaction.entries[0].account"),
        (
            pair(entry(&a, Unspecified, eur("1"))),
            Reason::FieldInvalid,
            "transaction.entries[0].direction",
        ),
        (
            pair(entry(&a, Debit, eur("1.001"))),
            Reason::PrecisionExceeded,
            "transaction.entries[0].amount.amount",
        ),
        (
            pair(entry(&a, Debit, eur("0"))),
            Reason::FieldInvalid,
            "transaction.entries[0].amount.amount",
        ),
        (
            pair(entry(&a, Debit, eur("-1"))),
            Reason::FieldInvalid,
            "transaction.entries[0].amount.amount",
        ),
        (
            pair(entry(&a, Debit, eur(&long))),
            Reason::AmountOverflow,
            "transaction.entries[0].amount.amount",
        ),
        (
            pair(entry(&a, Debit, usd)),
            Reason::CurrencyUnknown,
            "transaction.entries[0].amount.currency",
        ),
    ];
    for (entries, reason, field) in cases {
        let transaction =
            wire::Transaction { r#type: "TEST".to_owned(), entries, ..Default::default() };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        let refused = client.transactions.create_transaction(request).await.unwrap_err();
        let (found, path, _) = refusal(&refused);
        assert_eq!((found, path.as_str()), (reason, field), "{refused:?}");
    }
    assert_eq!(client.posted(&b).await, "10.00");
}

/// Makes one field bad.
type Spoil = fn(&mut wire::CreateTransferRequest);

#[tokio::test(flavor = "multi_thread")]
async fn bad_transfers() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (a, b) = client.funded("10").await;
    let cases: [(Spoil, Reason, &str); 9] = [
        (|r| r.request_id.clear(), Reason::RequestIdRequired, "request_id"),
        (|r| r.request_id = "x".repeat(129), Reason::FieldInvalid, "request_id"),
        (|r| r.from = "accounts/ABC".to_owned(), Reason::FieldInvalid, "from"),
        (|r| r.to = r.from.clone(), Reason::FieldInvalid, "to"),
        (|r| r.amount = None, Reason::FieldInvalid, "amount"),
        (|r| r.r#type = "no good".to_owned(), Reason::FieldInvalid, "type"),
        (|r| r.transaction_id = "7".to_owned(), Reason::FieldInvalid, "transaction_id"),
        (|r| r.description = "x".repeat(1_025), Reason::FieldInvalid, "description"),
        (
            |r| {
                r.effective_time =
                    Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
            },
            Reason::FieldInvalid,
            "effective_time",
        ),
    ];
    for (spoil, reason, field) in cases {
        let mut request = transfer(&b, &a, "1");
        spoil(&mut request);
        let refused = client.transactions.create_transfer(request).await.unwrap_err();
        let (found, path, _) = refusal(&refused);
        assert_eq!((found, path.as_str()), (reason, field), "{refused:?}");
    }
    let mut request = transfer(&b, &a, "1");
    request.transaction_id = uuid::Uuid::now_v7().to_string();
    client.transactions.create_transfer(request.clone()).await.unwrap();
    request.request_id = request_id();
    let taken = client.transactions.create_transfer(request).await.unwrap_err();
    assert_eq!(refusal(&taken).0, Reason::IdTaken);
    assert_eq!(client.posted(&b).await, "9.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_accounts_and_controls() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let account = client.account(None).await;
    let mut controls = crate::setup::block(1, wire::block::Effect::Debit);
    controls.blocks[0].amount = Some(Money { currency: "USD".to_owned(), amount: "1".to_owned() });
    let (reason, path, _) = refusal(&client.control(&account, controls.clone()).await.unwrap_err());
    assert_eq!(reason, Reason::CurrencyMismatch);
    assert_eq!(path, "controls.blocks[0].amount.currency");
    controls.blocks[0].effect = wire::block::Effect::All.into();
    let (reason, path, _) = refusal(&client.control(&account, controls.clone()).await.unwrap_err());
    assert_eq!((reason, path.as_str()), (Reason::FieldInvalid, "controls.blocks[0].amount"));
    controls.version = 0;
    let (_, path, _) = refusal(&client.control(&account, controls).await.unwrap_err());
    assert_eq!(path, "controls.version");

    let account = wire::LedgerAccount { currency: "EUR".to_owned(), ..Default::default() };
    let mut first = crate::setup::block(1, wire::block::Effect::Debit);
    let twice = vec![first.clone(), first.clone()];
    first.blocks[0].amount = Some(Money { currency: "JPY".to_owned(), amount: "1".to_owned() });
    let cases = [
        (vec![], Reason::FieldInvalid, "account.class"),
        (twice, Reason::FieldInvalid, "controls[1].source"),
        (vec![first], Reason::CurrencyMismatch, "controls[0].blocks[0].amount.currency"),
    ];
    for (controls, reason, field) in cases {
        let request = wire::RegisterLedgerAccountRequest {
            account: Some(account.clone()),
            controls,
            ..Default::default()
        };
        let refused = client.ledger.register_ledger_account(request).await.unwrap_err();
        let (found, path, _) = refusal(&refused);
        assert_eq!((found, path.as_str()), (reason, field));
    }
}

/// Makes a limit bad.
type SpoilLimit = fn(&mut wire::Limit);

#[tokio::test(flavor = "multi_thread")]
async fn bad_limits() {
    use wire::limit::Window;
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let seconds = |seconds: i64| Some(prost_types::Duration { seconds, nanos: 0 });
    let good = wire::Limit {
        id: "rolling".to_owned(),
        effect: wire::block::Effect::Debit.into(),
        window: Window::Rolling.into(),
        rolling_length: seconds(3_600),
        max_amount: Some(eur("1")),
        ..Default::default()
    };
    let cases: [(SpoilLimit, &str); 17] = [
        (|l| l.id.clear(), "id"),
        (|l| l.id = "No".to_owned(), "id"),
        (|l| l.effect = 0, "effect"),
        (|l| l.effect = 9, "effect"),
        (|l| l.window = 0, "window"),
        (|l| l.rolling_length = None, "rolling_length"),
        (|l| l.rolling_length.as_mut().unwrap().seconds = 59, "rolling_length"),
        (|l| l.rolling_length.as_mut().unwrap().seconds = 366 * 86_400 + 1, "rolling_length"),
        (|l| l.rolling_length.as_mut().unwrap().seconds = i64::MAX, "rolling_length"),
        (|l| l.rolling_length.as_mut().unwrap().nanos = 1, "rolling_length"),
        (|l| l.window = Window::Day.into(), "rolling_length"),
        (|l| l.max_amount = None, "max_amount"),
        (|l| l.max_amount = Some(eur("0")), "max_amount.amount"),
        (|l| l.max_count = -1, "max_count"),
        (
            |l| (l.window, l.rolling_length, l.max_count) = (Window::Transaction.into(), None, 1),
            "max_count",
        ),
        (|l| l.types = vec!["CARD".to_owned(), "card".to_owned()], "types[1]"),
        (|l| l.types = vec!["CARD".to_owned(); 33], "types"),
    ];
    let controls = |limits: Vec<wire::Limit>| wire::Controls {
        source: "accounts".to_owned(),
        version: 1,
        limits,
        blocks: vec![],
        timeline: String::new(),
    };
    for (spoil, path) in cases {
        let mut limit = good.clone();
        spoil(&mut limit);
        let refused = client.control(&account, controls(vec![limit])).await;
        let expected = (Reason::FieldInvalid, format!("controls.limits[0].{path}"));
        assert_eq!(field(refused), expected);
    }
    let twice = client.control(&account, controls(vec![good.clone(), good.clone()])).await;
    assert_eq!(field(twice).1, "controls.limits[1].id");
    let named = |n: i32| wire::Limit { id: format!("l-{n}"), ..good.clone() };
    let many = client.control(&account, controls((0..33).map(named).collect())).await;
    assert_eq!(field(many).1, "controls.limits");
    let mut foreign = good.clone();
    foreign.max_amount.as_mut().unwrap().currency = "USD".to_owned();
    let (reason, path) = field(client.control(&account, controls(vec![foreign])).await);
    let expected = "controls.limits[0].max_amount.currency";
    assert_eq!((reason, path.as_str()), (Reason::CurrencyMismatch, expected));
    client.pay(&account, &house, "10").await.unwrap();
    let with = client.control(&account, controls((0..32).map(named).collect())).await.unwrap();
    assert_eq!(with.controls[0].limits.len(), 32);
    let back = wire::Limit { max_amount: Some(eur("1.00")), id: "l-0".to_owned(), ..good };
    let scope = wire::limit::Scope::Account.into();
    assert_eq!(with.controls[0].limits[0], wire::Limit { scope, ..back });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() {
    let ledger = Ledger::start().await;
    let (a, b) = ledger.client().funded("10").await;
    let mut reader = ledger.client_of(ledger.tenant, &["transactions.balances.get"]);
    assert_eq!(reader.posted(&b).await, "10.00");
    let (reason, _, figures) = refusal(&reader.pay(&b, &a, "1").await.unwrap_err());
    assert_eq!(reason, Reason::PermissionMissing);
    assert_eq!(figures["permission"], "transactions.transactions.create");
    // What is one's own is not supported here, so such a grant opens nothing.
    let mut own = ledger.client_of(ledger.tenant, &["transactions.*:own"]);
    assert_eq!(refusal(&own.pay(&b, &a, "1").await.unwrap_err()).0, Reason::PermissionMissing);
}
