//! What is posted, and what the books say after it.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};

use crate::setup::{Ledger, block, entry, eur, request_id, transfer, unbounded};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_moves_money_and_is_read_back_as_it_was_answered() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let (shop, fees) = (client.account(None).await, client.account(None).await);
    let mut entries = vec![
        entry(&payer, Debit, eur("10.50")),
        entry(&shop, Credit, eur("10")),
        entry(&fees, Credit, eur("0.5")),
    ];
    entries[0].memo = "lunch".to_owned();
    let transaction = wire::Transaction {
        r#type: "PAYMENT".to_owned(),
        entries,
        description: "Lunch with a fee".to_owned(),
        labels: [("channel".to_owned(), "app".to_owned())].into(),
        ..Default::default()
    };
    let request = wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    };
    let posted = client.transactions.create_transaction(request).await.unwrap().into_inner();
    let balance = posted.entries[0].balance.clone().unwrap();
    assert_eq!(balance.posted.unwrap(), eur("89.50"));
    assert_eq!(balance.available.unwrap(), eur("89.50"));
    assert_eq!((balance.entry_seq, balance.version), (2, 3));
    assert_eq!(posted.entries[0].amount, Some(eur("10.50")));
    assert_eq!(posted.effective_time, posted.record_time);

    let get = wire::GetTransactionRequest { name: posted.name.clone() };
    assert_eq!(client.transactions.get_transaction(get).await.unwrap().into_inner(), posted);
    assert_eq!(client.posted(&house).await, "-100.00");
    assert_eq!(client.posted(&shop).await, "10.00");
    assert_eq!(client.posted(&fees).await, "0.50");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdraft_is_refused_with_its_figures() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("30").await;
    let (reason, _, figures) = refusal(&client.pay(&account, &house, "30.01").await.unwrap_err());
    assert_eq!(reason, Reason::InsufficientFunds);
    for (name, figure) in [
        ("account", account.as_str()),
        ("available", "30.00"),
        ("held", "0.00"),
        ("blocked", "0.00"),
        ("limit", "0.00"),
        ("shortfall", "0.01"),
        ("entry", "0"),
    ] {
        assert_eq!(figures[name], figure, "{name}");
    }
    assert_eq!(figures["trace_id"].len(), 32);
    assert_eq!(client.posted(&account).await, "30.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_currencies_balance_each_by_itself() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (eur_in, eur_out) = (client.account(Some(unbounded())).await, client.account(None).await);
    let yen_in = client.account_in("JPY", Some(unbounded())).await;
    let yen_out = client.account_in("JPY", None).await;
    let jpy = |amount: &str| strongroom_proto::common::v1::Money {
        currency: "JPY".to_owned(),
        amount: amount.to_owned(),
    };
    let transaction = wire::Transaction {
        r#type: "EXCHANGE".to_owned(),
        entries: vec![
            entry(&eur_in, Debit, eur("10")),
            entry(&eur_out, Credit, eur("10")),
            entry(&yen_in, Debit, jpy("1650")),
            entry(&yen_out, Credit, jpy("1650")),
        ],
        ..Default::default()
    };
    let request = wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    };
    client.transactions.create_transaction(request).await.unwrap();
    assert_eq!(client.posted(&yen_out).await, "1650");

    let wrong = client.pay(&eur_out, &yen_out, "1").await.unwrap_err();
    let (reason, field, figures) = refusal(&wrong);
    assert_eq!((reason, field.as_str()), (Reason::CurrencyMismatch, "amount.currency"));
    assert_eq!(figures["expected"], "JPY");
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_forbid_until_their_source_lifts_them() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("50").await;
    client.control(&account, block(2, wire::block::Effect::Debit)).await.unwrap();
    let (reason, _, figures) = refusal(&client.pay(&account, &house, "1").await.unwrap_err());
    assert_eq!(reason, Reason::AccountBlocked);
    assert_eq!((figures["source"].as_str(), figures["direction"].as_str()), ("accounts", "DEBIT"));
    client.pay(&house, &account, "1").await.unwrap();

    // Another source lifting its own lifts nothing, and neither does an older delivery.
    let mut auditor =
        wire::Controls { source: "monitor".to_owned(), version: 9, ..Default::default() };
    client.control(&account, auditor.clone()).await.unwrap();
    auditor.source = "accounts".to_owned();
    auditor.version = 1;
    client.control(&account, auditor.clone()).await.unwrap();
    assert!(client.pay(&account, &house, "1").await.is_err());

    auditor.version = 3;
    let mut request = wire::SetLedgerControlsRequest {
        name: account.clone(),
        controls: Some(auditor.clone()),
        request_id: request_id(),
        validate_only: true,
    };
    client.ledger.set_ledger_controls(request.clone()).await.unwrap();
    assert!(client.pay(&account, &house, "1").await.is_err(), "it was only validated");
    request.validate_only = false;
    for replayed in [false, true] {
        let answer = client.ledger.set_ledger_controls(request.clone()).await.unwrap();
        assert_eq!(answer.metadata().contains_key("strongroom-replayed"), replayed);
    }
    let lifted = client.control(&account, auditor).await.unwrap();
    assert!(lifted.controls.iter().all(|controls| controls.blocks.is_empty()));
    client.pay(&account, &house, "51").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_amount_is_set_apart() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("50").await;
    let mut controls = block(1, wire::block::Effect::Debit);
    controls.blocks[0].amount = Some(eur("20"));
    client.control(&account, controls).await.unwrap();
    let balance = client.balance(&account).await;
    assert_eq!(balance.blocked.unwrap(), eur("20.00"));
    assert_eq!(balance.available.unwrap(), eur("30.00"));
    let (reason, _, figures) = refusal(&client.pay(&account, &house, "30.01").await.unwrap_err());
    assert_eq!((reason, figures["blocked"].as_str()), (Reason::InsufficientFunds, "20.00"));
    client.pay(&account, &house, "30").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_only_decides_and_leaves_no_trace() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("5").await;
    let mut request = transfer(&account, &house, "5");
    request.validate_only = true;
    let preview = client.transactions.create_transfer(request.clone()).await.unwrap().into_inner();
    assert_eq!(preview.entries[0].balance.as_ref().unwrap().posted, Some(eur("0.00")));
    let get = wire::GetTransactionRequest { name: preview.name };
    assert!(client.transactions.get_transaction(get).await.is_err());

    let mut too_much = request.clone();
    too_much.amount = Some(eur("6"));
    let refused = client.transactions.create_transfer(too_much.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::InsufficientFunds);
    // The id is still free, for another request too.
    request.validate_only = false;
    client.transactions.create_transfer(request).await.unwrap();
    assert_eq!(client.posted(&account).await, "0.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_gives_the_account_and_registering_otherwise_does_not() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let name = client.account(None).await;
    let id = name.strip_prefix("accounts/").unwrap().to_owned();
    let mut request = wire::RegisterLedgerAccountRequest {
        account: Some(wire::LedgerAccount {
            currency: "EUR".to_owned(),
            class: wire::AccountClass::Liability.into(),
            ..Default::default()
        }),
        account_id: id,
        ..Default::default()
    };
    let again = client.ledger.register_ledger_account(request.clone()).await.unwrap();
    assert_eq!(again.into_inner().name, name);
    request.account.as_mut().unwrap().currency = "USD".to_owned();
    let refused = client.ledger.register_ledger_account(request).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::IdTaken);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_accounts_and_transactions_do_not_exist() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("5").await;
    let posted = client.pay(&account, &house, "1").await.unwrap();
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let own = stranger.account(None).await;

    let get = wire::GetTransactionRequest { name: posted.name };
    let hidden = stranger.transactions.get_transaction(get).await.unwrap_err();
    assert_eq!(refusal(&hidden).0, Reason::ResourceNotFound);
    let get = wire::GetBalanceRequest { account: account.clone(), as_of: None };
    let hidden = stranger.balances.get_balance(get).await.unwrap_err();
    assert_eq!(refusal(&hidden).0, Reason::ResourceNotFound);
    let (reason, _, figures) = refusal(&stranger.pay(&account, &own, "1").await.unwrap_err());
    assert_eq!((reason, figures["entry"].as_str()), (Reason::ResourceNotFound, "0"));
    assert_eq!(client.posted(&account).await, "4.00");
}
