//! What happens is an event and a leaf of the log: ids, codes and names, never content.

use std::time::Duration;

use shared::transparency::{check_inclusion, leaf_hash};
use strongroom_proto::events::v1::event_service_client::EventServiceClient;
use strongroom_proto::events::v1::{Event, ListEventsRequest};
use strongroom_proto::records::v1 as wire;
use strongroom_proto::transparency::v1 as log;
use tonic::Code;
use tonic::transport::Channel;
use wire::RecordView as View;
use wire::governance_service_client::GovernanceServiceClient;

use crate::world::{Caller, World, id_of, reason};

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);
/// What must not be in any event.
const MARKER: &str = "Zaphod-1f9a";

type Log = log::transparency_service_client::TransparencyServiceClient<Channel>;

/// Events from the first on, once there are so many.
async fn events(caller: &Caller, count: usize) -> Vec<Event> {
    let mut client = EventServiceClient::new(caller.channel.clone());
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let request = ListEventsRequest { page_size: 1_000, ..ListEventsRequest::default() };
        let answer = client.list_events(caller.signed(request)).await.unwrap().into_inner();
        if answer.events.len() >= count {
            return answer.events;
        }
        assert!(tokio::time::Instant::now() < end, "{:?}", answer.events);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The proof of a resource, once a checkpoint covers it.
async fn proof(caller: &Caller, resource: &str) -> log::InclusionProof {
    let mut client = Log::new(caller.channel.clone());
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let leaf = log::get_inclusion_proof_request::Leaf::Resource(resource.to_owned());
        let request = log::GetInclusionProofRequest { leaf: Some(leaf), tree_size: None };
        match client.get_inclusion_proof(caller.signed(request)).await {
            Ok(proof) => return proof.into_inner(),
            Err(status) => assert_eq!(status.code(), Code::NotFound, "{resource}: {status}"),
        }
        assert!(tokio::time::Instant::now() < end, "{resource}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Something of all sorts, and the names of what was made.
async fn happenings(world: &World) -> [String; 3] {
    let caller = world.caller();
    let subject = caller.subject().await;
    let content = format!("{{\"name\": \"{MARKER}\"}}");
    let record = caller.record(&subject, "application/json", content.as_bytes()).await;
    caller.read(&record.name, View::Full).await.unwrap();
    let clerk = world.caller_in(world.tenant, &["records.records.get"]);
    reason(clerk.read(&record.name, View::Full).await);
    let hold = wire::LegalHold {
        target: subject.clone(),
        authority: "court-of-zurich".to_owned(),
        case_reference: MARKER.to_owned(),
        ..wire::LegalHold::default()
    };
    let request = wire::PlaceLegalHoldRequest {
        legal_hold: Some(hold),
        ..wire::PlaceLegalHoldRequest::default()
    };
    let mut governance = GovernanceServiceClient::new(caller.channel.clone());
    let hold = governance.place_legal_hold(caller.signed(request)).await.unwrap().into_inner();
    [subject, record.name, hold.name]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_an_event_without_content() {
    let world = World::new().await;
    let [subject, record, hold] = happenings(&world).await;
    let events = events(&world.caller(), 8).await;
    let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (0..8).collect::<Vec<_>>());
    let mut seen: Vec<_> = events.iter().map(|event| &*event.r#type).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "access.denied",
            "access.permitted",
            "access.permitted",
            "access.permitted",
            "access.permitted",
            "legalHold.placed",
            "record.created",
            "subject.created",
        ]
    );
    for event in &events {
        // Nor who it was: the log says that by commitments.
        assert!(!event.data.contains(MARKER) && !event.data.contains("test:"), "{event:?}");
        assert!(event.data.contains(&world.tenant.name()), "{event:?}");
    }
    for (kind, name) in
        [("subject.created", subject), ("record.created", record), ("legalHold.placed", hold)]
    {
        let event = events.iter().find(|event| event.r#type == kind).unwrap();
        assert_eq!(event.subject, name);
    }
    let other = world.caller_in(world.database.tenant(), &["*"]);
    assert!(self::events(&other, 0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_leaf_is_what_its_row_says_and_is_found_by_name() {
    let world = World::new().await;
    let made = happenings(&world).await;
    let caller = world.caller();
    let happened = events(&caller, 8).await;
    let count = happened.len();
    let leaves = async || {
        let request = log::ListLeavesRequest { start_index: 0, page_size: 1_000 };
        let mut client = Log::new(caller.channel.clone());
        let leaves = client.list_leaves(caller.signed(request)).await.unwrap().into_inner().leaves;
        let broken = leaves.iter().filter(|leaf| leaf_hash(&leaf.data)[..] != leaf.hash[..]);
        (leaves.len(), broken.count())
    };
    assert_eq!(leaves().await, (count, 0));

    let access = happened.iter().find(|event| event.r#type == "access.denied").unwrap();
    for name in made.iter().chain([&access.subject]) {
        let proof = proof(&caller, name).await;
        let leaf = proof.leaf.unwrap();
        assert!(leaf.data.contains(id_of(name)), "{name}: {}", leaf.data);
        let hashes: Vec<_> =
            proof.hashes.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let root = proof.root_hash.as_slice().try_into().unwrap();
        let (index, size) = (leaf.index.cast_unsigned(), proof.tree_size.cast_unsigned());
        assert!(check_inclusion(leaf_hash(&leaf.data), index, size, root, &hashes), "{name}");
    }
    // A row that was changed, and one that is gone, are two leaves that were never written.
    world.owner_sql("UPDATE accesses SET purpose = 'TREAT' WHERE purpose = 'KYC' AND decision = 1");
    world.owner_sql("DELETE FROM accesses WHERE decision = 2");
    assert_eq!(leaves().await, (count, 2));
}
