//! What happens in the books is an event and a leaf of the log, in the order of the books.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use shared::testing::{Bearer, Running};
use shared::transparency::{LogKey, check_inclusion, leaf_hash, open_note};
use strongroom_proto::events::v1 as events;
use strongroom_proto::transactions::v1 as wire;
use strongroom_proto::transparency::v1 as log;
use tonic::service::interceptor::InterceptedService;

use crate::requests::hold;
use crate::setup::{Api, Ledger, request_id, unbounded};

type Events = events::event_service_client::EventServiceClient<Api>;
type Log = log::transparency_service_client::TransparencyServiceClient<Api>;

const PROMPT: [&str; 4] = ["--sequence-interval", "0.01", "--checkpoint-interval", "0.01"];

fn api(ledger: &Ledger, server: &Running) -> Api {
    let bearer = Bearer::new(&ledger.issuer.bearer(ledger.tenant, &["*"]));
    InterceptedService::new(server.channel(), bearer)
}

/// The events from the first on, once there are as many.
async fn follow(ledger: &Ledger, server: &Running, count: usize) -> Vec<events::Event> {
    let mut client = Events::new(api(ledger, server));
    let watch = events::WatchEventsRequest::default();
    let mut stream = client.watch_events(watch).await.unwrap().into_inner();
    let mut found = Vec::new();
    let all = async {
        while found.len() < count {
            let message = stream.message().await.unwrap().unwrap().message.unwrap();
            if let events::watch_events_response::Message::Event(event) = message {
                found.push(event);
            }
        }
    };
    let timely = tokio::time::timeout(Duration::from_secs(60), all).await;
    assert!(timely.is_ok(), "{} of {count} events", found.len());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_says_what_its_writer_hashed() {
    let ledger = Ledger::start_with(&PROMPT).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let described = wire::CreateTransferRequest {
        description: "rent".to_owned(),
        labels: [("reference".to_owned(), "7".to_owned())].into(),
        ..crate::setup::transfer(&account, &house, "5")
    };
    client.transactions.create_transfer(described).await.unwrap();
    let held = client.holds.create_hold(hold(&account, "", "20")).await.unwrap().into_inner();
    let released = wire::ReleaseHoldRequest {
        name: held.name.clone(),
        request_id: request_id(),
        ..wire::ReleaseHoldRequest::default()
    };
    client.holds.release_hold(released).await.unwrap();
    client.pay(&account, &house, "1000").await.unwrap_err();

    let found = follow(&ledger, &ledger.server, 7).await;
    let types: Vec<&str> = found.iter().map(|event| &*event.r#type).collect();
    let expected = [
        "ledgerAccount.registered",
        "ledgerAccount.registered",
        "transaction.posted",
        "transaction.posted",
        "hold.changed",
        "hold.changed",
        "request.rejected",
    ];
    assert_eq!(types, expected);
    assert!(found[4].subject.starts_with(&held.name), "{}", found[4].subject);
    let rejected: Value = serde_json::from_str(&found[6].data).unwrap();
    assert_eq!(rejected["reason"], "INSUFFICIENT_FUNDS");
    assert_eq!(rejected["figures"]["shortfall"], "905.00", "{rejected}");
    assert!(found.iter().all(|event| !event.data.contains("rent")), "texts are commitments");

    let request = log::ListLeavesRequest { start_index: 0, page_size: 100 };
    let leaves = Log::new(api(&ledger, &ledger.server)).list_leaves(request).await.unwrap();
    for (leaf, event) in leaves.into_inner().leaves.iter().zip(&found) {
        assert_eq!(leaf.data, event.data);
        assert_eq!(leaf.hash, leaf_hash(&event.data), "{}", event.data);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_keep_the_order_of_every_account() {
    const CALLERS: usize = 6;
    const PAYMENTS: usize = 25;
    let ledger = Ledger::start_with(&PROMPT).await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let hot = client.account(Some(unbounded())).await;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let server = if number % 2 == 0 { &ledger.server } else { &replica };
        let mut client = ledger.client_at(server, ledger.tenant, &["*"]);
        let hot = hot.clone();
        callers.spawn(async move {
            let own = client.account(None).await;
            let mut made = Vec::new();
            for _ in 0..PAYMENTS {
                made.push(client.pay(&hot, &own, "1").await.unwrap().name);
            }
            made
        });
    }
    let made: BTreeSet<String> = callers.join_all().await.concat().into_iter().collect();
    let count = 1 + CALLERS * (PAYMENTS + 1);
    let found = follow(&ledger, &replica, count).await;
    for (position, event) in found.iter().enumerate() {
        assert_eq!(event.position, i64::try_from(position).unwrap());
    }
    let posted: Vec<&events::Event> =
        found.iter().filter(|event| event.r#type == "transaction.posted").collect();
    let subjects: BTreeSet<String> = posted.iter().map(|event| event.subject.clone()).collect();
    assert_eq!(subjects, made);
    let places: Vec<i64> = posted
        .iter()
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            let entries = data["entries"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["account"] == *hot).unwrap();
            entry["entry_seq"].as_i64().unwrap()
        })
        .collect();
    let all: Vec<i64> = (1..=i64::try_from(CALLERS * PAYMENTS).unwrap()).collect();
    assert_eq!(places, all, "the order of the events is that of the account");
    prove(&ledger, &replica, &posted).await;
}

/// Proves transactions by their names, under a checkpoint whose signature holds.
async fn prove(ledger: &Ledger, server: &Running, posted: &[&events::Event]) {
    let key = LogKey::load(&ledger.issuer.workload_key("transactions")).unwrap();
    let mut client = Log::new(api(ledger, server));
    for event in posted.iter().step_by(40) {
        let leaf = log::get_inclusion_proof_request::Leaf::Resource(event.subject.clone());
        let request = log::GetInclusionProofRequest { leaf: Some(leaf), tree_size: None };
        let mut attempts = 0;
        let proof = loop {
            match client.get_inclusion_proof(request.clone()).await {
                Ok(proof) => break proof.into_inner(),
                // It has no checkpoint yet.
                Err(status) => assert!(attempts < 600, "{status:?}"),
            }
            attempts += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let (leaf, signed) = (proof.leaf.unwrap(), proof.checkpoint.unwrap());
        assert_eq!((leaf.index, &leaf.data), (event.position, &event.data));
        let opened = open_note(&signed.note, &key.verifier_key()).unwrap();
        let path: Vec<[u8; 32]> =
            proof.hashes.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let (hash, index) = (leaf_hash(&leaf.data), leaf.index.cast_unsigned());
        assert!(check_inclusion(hash, index, opened.size, opened.root, &path));
    }
}
