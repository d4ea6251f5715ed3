//! Forced postings: what they override, and what stays of it.

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::Override::{Controls, Funds, HoldExpired, Limits};
use wire::block::Effect;

use crate::requests::{capture, field, force, hold, increase, reversal, why};
use crate::setup::{Client, Ledger, block, eur, request_id, transfer};

fn forced(from: &str, to: &str, rules: &[wire::Override]) -> wire::CreateTransferRequest {
    wire::CreateTransferRequest { force: force(rules), ..transfer(from, to, "30") }
}

/// The recorded excess of an account, in minor units.
fn excess(ledger: &Ledger, account: &str) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        excess: String,
    }
    let id = account.strip_prefix("accounts/").unwrap();
    let sql = format!("SELECT excess::text AS excess FROM ledger_accounts WHERE id = '{id}'");
    tokio::task::block_in_place(|| {
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut ledger.database.admin()).unwrap();
        rows[0].excess.clone()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_is_overridden_by_its_own_name_alone() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut controls = block(1, Effect::Debit);
    controls.limits.push(wire::Limit {
        id: "single".to_owned(),
        effect: Effect::Debit.into(),
        window: wire::limit::Window::Transaction.into(),
        max_amount: Some(eur("20")),
        ..Default::default()
    });
    client.control(&account, controls).await.unwrap();
    for (rules, reason) in [
        (vec![HoldExpired], Reason::AccountBlocked),
        (vec![Funds, Limits], Reason::AccountBlocked),
        (vec![Controls, Limits], Reason::InsufficientFunds),
        (vec![Controls, Funds], Reason::LimitExceeded),
    ] {
        let refused = client.transfer(&forced(&account, &house, &rules)).await;
        assert_eq!(why(refused).0, reason, "{rules:?}");
    }
    let all = forced(&account, &house, &[Limits, Funds, Controls, Funds]);
    let posted = client.transfer(&all).await.unwrap();
    assert_eq!(posted.force, force(&[Funds, Limits, Controls]));
    let get = wire::GetTransactionRequest { name: posted.name.clone() };
    assert_eq!(client.transactions.get_transaction(get).await.unwrap().into_inner(), posted);
    assert_eq!(client.figures(&account).await, ["-20.00", "0.00", "-20.00"]);

    // Holds are forced by the same names.
    let keep = |rules: &[wire::Override]| {
        let mut request = hold(&account, &house, "30");
        request.hold.as_mut().unwrap().force = force(rules);
        request
    };
    for (rules, reason) in [
        (vec![Funds, Limits], Reason::AccountBlocked),
        (vec![Controls, Limits], Reason::InsufficientFunds),
        (vec![Controls, Funds], Reason::LimitExceeded),
    ] {
        assert_eq!(why(client.hold(&keep(&rules)).await).0, reason, "{rules:?}");
    }
    let made = client.hold(&keep(&[Controls, Funds, Limits])).await.unwrap();
    assert_eq!(made.force, force(&[Funds, Limits, Controls]));
    assert_eq!(client.read_hold(&made.name).await.force, made.force);
    // A hold that was forced does not force its capture.
    assert_eq!(why(client.capture(&capture(&made.name)).await).0, Reason::AccountBlocked);
    let taken = wire::CaptureHoldRequest { force: force(&[Controls]), ..capture(&made.name) };
    client.capture(&taken).await.unwrap();
    assert_eq!(client.figures(&account).await, ["-50.00", "0.00", "-50.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_bound_is_recorded_and_shrinks_with_what_comes_in() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    client.transfer(&forced(&account, &house, &[Funds])).await.unwrap();
    assert_eq!(excess(&ledger, &account), "2000");
    // Nothing more leaves it, and what comes in lowers the excess for good.
    assert_eq!(why(client.pay(&account, &house, "0.01").await).0, Reason::InsufficientFunds);
    client.pay(&house, &account, "15").await.unwrap();
    assert_eq!(excess(&ledger, &account), "500");
    assert_eq!(why(client.pay(&account, &house, "0.01").await).0, Reason::InsufficientFunds);
    client.pay(&house, &account, "6").await.unwrap();
    assert_eq!(
        (excess(&ledger, &account), client.posted(&account).await),
        ("0".into(), "1.00".into())
    );
    client.pay(&account, &house, "1").await.unwrap();

    // What a hold keeps back without being there is recorded too, until it is given back.
    let mut request = hold(&account, &house, "40");
    request.hold.as_mut().unwrap().force = force(&[Funds]);
    let name = client.hold(&request).await.unwrap().name;
    let more = wire::IncreaseHoldRequest { force: force(&[Funds]), ..increase(&name, "2") };
    client.increase(&more).await.unwrap();
    assert_eq!(excess(&ledger, &account), "4200");
    let part =
        wire::CaptureHoldRequest { amount: Some(eur("12")), keep_open: true, ..capture(&name) };
    client.capture(&part).await.unwrap();
    assert_eq!(excess(&ledger, &account), "4200");
    client.release(&crate::requests::release(&name)).await.unwrap();
    assert_eq!(excess(&ledger, &account), "1200");
    // A force that was not needed records nothing.
    client.pay(&house, &account, "100").await.unwrap();
    client.transfer(&forced(&account, &house, &[Funds])).await.unwrap();
    assert_eq!(excess(&ledger, &account), "0");
}

fn refused_for_force<T>(answer: Result<T, tonic::Status>) {
    let (reason, figures) = why(answer);
    assert_eq!(reason, Reason::PermissionMissing);
    assert_eq!(figures["permission"], "transactions.transactions.force");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_force_is_a_permission_of_its_own() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let name = client.hold(&hold(&account, &house, "10")).await.unwrap().name;
    let permissions = [
        "transactions.transactions.create",
        "transactions.transactions.reverse",
        "transactions.holds.create",
        "transactions.holds.capture",
        "transactions.holds.increase",
    ];
    let mut clerk = ledger.client_of(ledger.tenant, &permissions);
    let transfer = forced(&account, &house, &[Funds]);
    refused_for_force(clerk.transfer(&transfer).await);
    let mut keep = hold(&account, &house, "1");
    keep.hold.as_mut().unwrap().force = force(&[Limits]);
    refused_for_force(clerk.hold(&keep).await);
    let taken = wire::CaptureHoldRequest { force: force(&[HoldExpired]), ..capture(&name) };
    refused_for_force(clerk.capture(&taken).await);
    let more = wire::IncreaseHoldRequest { force: force(&[Funds]), ..increase(&name, "1") };
    refused_for_force(clerk.increase(&more).await);
    let undo = wire::ReverseTransactionRequest { force: force(&[Funds]), ..reversal(&paid) };
    refused_for_force(clerk.reverse(&undo).await);
    let preview = wire::CreateTransferRequest { validate_only: true, ..transfer.clone() };
    refused_for_force(clerk.transfer(&preview).await);

    let item = |force: Option<wire::Force>| {
        let request = wire::CreateTransferRequest {
            request_id: String::new(),
            force,
            ..crate::setup::transfer(&account, &house, "1")
        };
        let operation = Some(wire::batch_item::Operation::Transfer(request));
        wire::BatchItem { operation }
    };
    let batch = wire::ExecuteBatchRequest {
        items: vec![item(None), item(force(&[Funds]))],
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let (reason, figures) = why(clerk.transactions.execute_batch(batch).await);
    assert_eq!((reason, figures["item"].as_str()), (Reason::PermissionMissing, "1"));
    assert_eq!(client.figures(&account).await, ["90.00", "10.00", "80.00"]);
    // The refusal is not frozen: whoever may, may with the same id.
    client.transfer(&transfer).await.unwrap();
}

async fn places(client: &mut Client, request: &wire::CreateTransferRequest) -> String {
    let (reason, path) = field(client.transfer(request).await);
    assert_eq!(reason, Reason::FieldInvalid);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_names_rules_and_a_reason() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut request = forced(&account, &house, &[]);
    assert_eq!(places(&mut client, &request).await, "force.overrides");
    request.force = force(&[Funds, wire::Override::Unspecified]);
    assert_eq!(places(&mut client, &request).await, "force.overrides[1]");
    request.force.as_mut().unwrap().overrides = vec![99];
    assert_eq!(places(&mut client, &request).await, "force.overrides[0]");
    request.force = Some(wire::Force { overrides: vec![Funds.into()], reason: String::new() });
    assert_eq!(places(&mut client, &request).await, "force.reason");
    request.force.as_mut().unwrap().reason = "x".repeat(257);
    assert_eq!(places(&mut client, &request).await, "force.reason");
    request.force.as_mut().unwrap().reason = "x".repeat(256);
    client.transfer(&request).await.unwrap();
}
