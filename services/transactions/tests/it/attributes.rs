//! What transactions and holds carry beside their amounts: the callers' own ids, groups, evidence.

use std::collections::BTreeMap;

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::batch_item::Operation;

use crate::requests::{assert_figures, capture, field, hold, reversal, why};
use crate::setup::{Ledger, request_id, transfer};

fn ids(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect()
}

fn known_as(
    request: wire::CreateTransferRequest,
    all: &[(&str, &str)],
) -> wire::CreateTransferRequest {
    wire::CreateTransferRequest { external_ids: ids(all), ..request }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_said_of_a_transaction_comes_back() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let record = uuid::Uuid::now_v7();
    let evidence =
        vec![format!("records/{record}/versions/7"), format!("records/{record}/versions/1")];
    let request = wire::CreateTransferRequest {
        evidence: evidence.clone(),
        external_ids: ids(&[("PSP", "p-1"), ("END_TO_END", "Zürich 1")]),
        group_id: "payroll:2026-11_a.b".to_owned(),
        labels: ids(&[("channel", "app")]),
        description: "November".to_owned(),
        ..transfer(&account, &house, "10")
    };
    let posted = client.transfer(&request).await.unwrap();
    assert_eq!(posted.evidence, evidence);
    assert_eq!(posted.external_ids, request.external_ids);
    assert_eq!((&posted.group_id, &posted.labels), (&request.group_id, &request.labels));
    let get = wire::GetTransactionRequest { name: posted.name.clone() };
    assert_eq!(client.transactions.get_transaction(get).await.unwrap().into_inner(), posted);
    assert_eq!(client.transfer(&request).await.unwrap(), posted);

    let undo = wire::ReverseTransactionRequest {
        evidence: evidence.clone(),
        group_id: "undo".to_owned(),
        external_ids: ids(&[("PSP", "p-2")]),
        ..reversal(&posted.name)
    };
    let undone = client.reverse(&undo).await.unwrap();
    let get = wire::GetTransactionRequest { name: undone.name.clone() };
    let read = client.transactions.get_transaction(get).await.unwrap().into_inner();
    assert_eq!((&read, &read.evidence), (&undone, &evidence));

    let mut keep = hold(&account, &house, "5");
    let own = keep.hold.as_mut().unwrap();
    (own.description, own.external_ids) = ("Fuel".to_owned(), ids(&[("ARN", "1")]));
    own.r#type = "FUEL".to_owned();
    let made = client.hold(&keep).await.unwrap();
    let read = client.read_hold(&made.name).await;
    assert_eq!(read.events.len(), 1);
    assert_eq!(wire::Hold { events: vec![], ..read }, made);
    assert_eq!((made.description.as_str(), made.r#type.as_str()), ("Fuel", "FUEL"));
    assert_eq!(made.external_ids, ids(&[("ARN", "1")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_is_of_one_transaction_and_of_one_hold() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let pay = || transfer(&account, &house, "1");
    let first = client.transfer(&known_as(pay(), &[("PSP", "1"), ("ARN", "2")])).await.unwrap();
    let second = known_as(pay(), &[("END_TO_END", "1"), ("PSP", "1")]);
    for _ in 0..2 {
        let (reason, figures) = why(client.transfer(&second).await);
        assert_eq!(reason, Reason::ExternalIdTaken);
        assert_figures(&figures, &[("holder", &first.name), ("kind", "PSP")]);
    }
    // Another kind is another id, and what was refused has claimed nothing.
    client.transfer(&known_as(pay(), &[("END_TO_END", "1"), ("PSP", "2")])).await.unwrap();
    let refused = known_as(transfer(&account, &house, "1000"), &[("PSP", "3")]);
    assert_eq!(why(client.transfer(&refused).await).0, Reason::InsufficientFunds);
    let mut preview = known_as(pay(), &[("PSP", "3")]);
    preview.validate_only = true;
    client.transfer(&preview).await.unwrap();
    let third = client.transfer(&known_as(pay(), &[("PSP", "3")])).await.unwrap();
    preview.request_id = request_id();
    assert_eq!(why(client.transfer(&preview).await).1["holder"], third.name);

    let keep = |value: &str| {
        let mut request = hold(&account, &house, "1");
        request.hold.as_mut().unwrap().external_ids = ids(&[("PSP", value)]);
        request
    };
    let held = client.hold(&keep("1")).await.unwrap().name;
    let (reason, figures) = why(client.hold(&keep("1")).await);
    assert_eq!((reason, figures["holder"].as_str()), (Reason::ExternalIdTaken, held.as_str()));
    // A capture is a transaction, so its ids meet those of transactions.
    let taken = wire::CaptureHoldRequest { external_ids: ids(&[("PSP", "1")]), ..capture(&held) };
    assert_eq!(why(client.capture(&taken).await).1["holder"], first.name);
    let undo = wire::ReverseTransactionRequest {
        external_ids: ids(&[("ARN", "2")]),
        ..reversal(&third.name)
    };
    assert_eq!(why(client.reverse(&undo).await).1["holder"], first.name);

    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let (own_house, own) = stranger.funded("10").await;
    let same = known_as(transfer(&own, &own_house, "1"), &[("PSP", "1")]);
    stranger.transfer(&same).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_batch_the_first_item_has_the_id() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let item = |value: &str, id: &str| {
        let request = wire::CreateTransferRequest {
            request_id: String::new(),
            transaction_id: id.to_owned(),
            ..known_as(transfer(&account, &house, "1"), &[("PSP", value)])
        };
        wire::BatchItem { operation: Some(Operation::Transfer(request)) }
    };
    let (a, b) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string());
    let batch = |items: Vec<wire::BatchItem>| wire::ExecuteBatchRequest {
        items,
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let twice = batch(vec![item("1", &a), item("2", &b), item("1", "")]);
    let (reason, figures) = why(client.transactions.execute_batch(twice).await);
    assert_eq!(reason, Reason::ExternalIdTaken);
    let holder = format!("transactions/{a}");
    assert_figures(&figures, &[("holder", &holder), ("item", "2")]);
    let same = batch(vec![item("1", &a), item("2", &a)]);
    let (reason, figures) = why(client.transactions.execute_batch(same).await);
    assert_eq!(reason, Reason::IdTaken);
    assert_figures(&figures, &[("name", &holder), ("item", "1")]);
    client.transactions.execute_batch(batch(vec![item("1", &a), item("2", &b)])).await.unwrap();
    let mut grouped = batch(vec![item("3", ""), item("4", "")]);
    grouped.group_id = "run-1".to_owned();
    if let Some(Operation::Transfer(own)) = &mut grouped.items[1].operation {
        own.group_id = "own".to_owned();
    }
    let results = client.transactions.execute_batch(grouped).await.unwrap().into_inner().results;
    let groups: Vec<_> = results
        .into_iter()
        .map(|result| match result.result {
            Some(wire::batch_result::Result::Transaction(posted)) => posted.group_id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(groups, ["run-1", "own"]);
}

/// Many callers, two replicas, other accounts each time: neither a row nor a lane keeps them apart.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_callers_with_one_external_id_one_gets_it() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..24_usize {
        let mut client = clients[n % 2].clone();
        let (house, account) = client.funded("10").await;
        callers.spawn(async move {
            if n % 3 == 0 {
                let mut request = hold(&account, &house, "1");
                request.hold.as_mut().unwrap().external_ids = ids(&[("PSP", "one")]);
                return client.hold(&request).await.map(|made| made.name);
            }
            let request = known_as(transfer(&account, &house, "1"), &[("PSP", "one")]);
            client.transfer(&request).await.map(|made| made.name)
        });
    }
    let answers = callers.join_all().await;
    let made: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    for answer in answers.iter().filter(|answer| answer.is_err()) {
        let (reason, figures) = why(answer.clone());
        assert_eq!(reason, Reason::ExternalIdTaken);
        assert!(made.contains(&&figures["holder"]));
    }
}

/// Makes one field bad.
type Spoil = fn(&mut wire::CreateTransferRequest);

#[tokio::test(flavor = "multi_thread")]
async fn bad_attributes() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let cases: [(Spoil, &str); 11] = [
        (|r| r.group_id = "a b".to_owned(), "group_id"),
        (|r| r.group_id = "x".repeat(65), "group_id"),
        (|r| r.evidence = vec!["records/1/versions/1".to_owned()], "evidence[0]"),
        (
            |r| {
                let record = uuid::Uuid::now_v7();
                r.evidence = ["1", "0"].map(|n| format!("records/{record}/versions/{n}")).into();
            },
            "evidence[1]",
        ),
        (
            |r| r.evidence = vec![format!("records/{}/versions/+1", uuid::Uuid::now_v7())],
            "evidence[0]",
        ),
        (
            |r| r.evidence = vec![format!("records/{}/versions/01", uuid::Uuid::now_v7())],
            "evidence[0]",
        ),
        (
            |r| r.evidence = vec![format!("records/{}/versions/1", uuid::Uuid::now_v7()); 17],
            "evidence",
        ),
        (|r| r.external_ids = ids(&[("psp", "1")]), "external_ids"),
        (|r| r.external_ids = ids(&[("PSP", "")]), "external_ids.PSP"),
        (
            |r| r.external_ids.insert("PSP".to_owned(), "x".repeat(129)).map_or((), drop),
            "external_ids.PSP",
        ),
        (
            |r| {
                r.external_ids = (0..9).map(|n| (format!("K{n}"), n.to_string())).collect();
            },
            "external_ids",
        ),
    ];
    for (spoil, path) in cases {
        let mut request = transfer(&account, &house, "1");
        spoil(&mut request);
        let refused = field(client.transfer(&request).await);
        assert_eq!(refused, (Reason::FieldInvalid, path.to_owned()));
    }
    assert_eq!(client.posted(&account).await, "100.00");
}
