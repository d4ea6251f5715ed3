//! Verifications: evidence, decisions, and the clock.

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::events::v1::ListEventsRequest;
use strongroom_proto::events::v1::event_service_client::EventServiceClient;
use strongroom_proto::records::v1::record::State as RecordState;
use tonic::{Response, Status};
use wire::kyc::State;

use crate::fakes::Failure;
use crate::setup::{Client, World, eventually, request_id, uuid_of};

type Answer = Result<wire::Customer, Status>;

async fn submit(client: &mut Client, name: &str, evidence: &[&str]) -> Answer {
    let request = wire::SubmitKycRequest {
        name: name.to_owned(),
        evidence: evidence.iter().map(|name| (*name).to_owned()).collect(),
        etag: String::new(),
        request_id: request_id(),
    };
    client.customers.submit_kyc(request).await.map(Response::into_inner)
}

async fn approve(client: &mut Client, name: &str, end: Option<i64>) -> Answer {
    let request = wire::ApproveKycRequest {
        name: name.to_owned(),
        level: 2,
        expire_time: end.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.approve_kyc(request).await.map(Response::into_inner)
}

async fn reject(client: &mut Client, name: &str) -> Answer {
    let request = wire::RejectKycRequest {
        name: name.to_owned(),
        reason_code: "DOCUMENT_FORGED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.reject_kyc(request).await.map(Response::into_inner)
}

async fn expire(client: &mut Client, name: &str) -> Answer {
    let request = wire::ExpireKycRequest {
        name: name.to_owned(),
        reason_code: "DOCUMENT_LOST".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.expire_kyc(request).await.map(Response::into_inner)
}

/// A version of a record about a customer.
pub(crate) fn evidence_of(world: &World, customer: &str) -> String {
    world.peers.add_evidence(&format!("subjects/{}", uuid_of(customer)), RecordState::Active)
}

fn kyc(answer: Answer) -> wire::Kyc {
    answer.unwrap().kyc.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_appended_with_evidence_that_is_kept() {
    let world = World::start().await;
    let mut client = world.client();
    let name = client.customer().await;
    assert_eq!(client.get_customer(&name).await.unwrap().kyc.unwrap().state(), State::None);
    let evidence = evidence_of(&world, &name);
    assert_eq!(kyc(submit(&mut client, &name, &[&evidence]).await).state(), State::InReview);
    let [interest] = &world.peers.interests()[..] else { panic!("one interest") };
    assert_eq!((&*interest.source, &interest.reference), ("accounts", &name));
    assert_eq!(interest.end_time, None, "open until the customer is closed");

    let approved = kyc(approve(&mut client, &name, Some(4_000_000_000)).await);
    assert_eq!((approved.state(), approved.level), (State::Approved, 2));
    let expired = kyc(expire(&mut client, &name).await);
    assert_eq!(expired.state(), State::Expired);
    assert!(expired.expire_time.unwrap().seconds < 4_000_000_000);
    submit(&mut client, &name, &[&evidence]).await.unwrap();
    assert_eq!(kyc(reject(&mut client, &name).await).state(), State::Rejected);

    let request = wire::ListKycDecisionsRequest { parent: name.clone(), ..Default::default() };
    let decisions = client.customers.list_kyc_decisions(request).await.unwrap().into_inner();
    let decisions = decisions.kyc_decisions;
    let states: Vec<State> = decisions.iter().map(wire::KycDecision::state).collect();
    let latest_first =
        [State::Rejected, State::InReview, State::Expired, State::Approved, State::InReview];
    assert_eq!(states, latest_first);
    assert_eq!(decisions[0].reason_code, "DOCUMENT_FORGED");
    assert_eq!((&decisions[4].evidence, decisions[3].level), (&vec![evidence], 2));
    assert!(decisions.iter().all(|decision| decision.reviewer.starts_with("test:")));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_has_to_be_there_and_about_the_customer() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let good = evidence_of(&world, &anna);
    let subject = format!("subjects/{}", uuid_of(&anna));
    let purged = world.peers.add_evidence(&subject, RecordState::Purged);
    let bens = evidence_of(&world, &ben);
    let absent = format!("records/{}/versions/1", uuid::Uuid::now_v7());
    let other_version = good.replace("versions/1", "versions/2");
    for bad in [&*purged, &bens, &absent, &other_version, "records/1/versions/1"] {
        let refused = submit(&mut client, &anna, &[bad]).await.unwrap_err();
        let (reason, field, _) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::FieldInvalid, "evidence[0]"), "{bad}");
    }
    let none = submit(&mut client, &anna, &[]).await.unwrap_err();
    assert_eq!(refusal(&none).0, Reason::FieldInvalid);
    assert!(world.peers.interests().is_empty(), "nothing is kept for what was refused");
    world.records.set(Fault::Cut);
    let away = submit(&mut client, &anna, &[&good]).await.unwrap_err();
    assert_eq!(refusal(&away).0, Reason::PeerUnavailable);
    world.records.set(Fault::None);

    // Whatever breaks before the decision, a repeat makes it, once.
    let request = wire::SubmitKycRequest {
        name: anna.clone(),
        evidence: vec![good.clone()],
        etag: String::new(),
        request_id: request_id(),
    };
    for method in ["GetRecord", "SetRetentionInterest"] {
        world.peers.fail(Some(Failure { method, after_the_work: true }));
        let away = client.customers.submit_kyc(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&away).0, Reason::PeerUnavailable);
    }
    world.peers.fail(None);
    let first = client.customers.submit_kyc(request.clone()).await.unwrap().into_inner();
    world.records.set(Fault::Cut);
    let again = client.customers.submit_kyc(request).await.unwrap();
    assert!(again.metadata().contains_key("strongroom-replayed"));
    assert_eq!(again.into_inner(), first, "a repeat needs no records");
    world.records.set(Fault::None);

    world.peers.erase(&format!("subjects/{}", uuid_of(&ben)), true);
    let refused = submit(&mut client, &ben, &[&bens]).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::SubjectErased);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_out_of_order_says_where_it_stands() {
    let world = World::start().await;
    let mut client = world.client();
    let name = client.customer().await;
    for refused in [
        approve(&mut client, &name, None).await,
        reject(&mut client, &name).await,
        expire(&mut client, &name).await,
    ] {
        let (reason, _, figures) = refusal(&refused.unwrap_err());
        assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "NONE"));
    }
    let evidence = evidence_of(&world, &name);
    submit(&mut client, &name, &[&evidence]).await.unwrap();
    let again = submit(&mut client, &name, &[&evidence]).await.unwrap_err();
    let (reason, _, figures) = refusal(&again);
    assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "IN_REVIEW"));
    assert_eq!(figures["allowed"], "NONE, APPROVED, REJECTED, EXPIRED");
    let past = approve(&mut client, &name, Some(1)).await.unwrap_err();
    let (reason, field, _) = refusal(&past);
    assert_eq!((reason, &*field), (Reason::FieldInvalid, "expire_time"));
    let request = wire::ApproveKycRequest {
        name: name.clone(),
        level: 10,
        request_id: request_id(),
        ..Default::default()
    };
    let refused = client.customers.approve_kyc(request.clone()).await.unwrap_err();
    assert_eq!(&*refusal(&refused).1, "level");
    let stale = wire::ApproveKycRequest { level: 1, etag: "\"1\"".to_owned(), ..request };
    let refused = client.customers.approve_kyc(stale).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::EtagMismatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_expires_by_the_clock_and_tells_it() {
    let world = World::start().await;
    let mut client = world.client();
    let name = client.customer().await;
    let evidence = evidence_of(&world, &name);
    submit(&mut client, &name, &[&evidence]).await.unwrap();
    let approved = approve(&mut client, &name, Some(4_000_000_000)).await.unwrap();
    tokio::task::block_in_place(|| {
        let schema = &world.database.name;
        let past = format!("UPDATE {schema}.customers SET kyc_expire_time = '2026-01-01'");
        world.database.admin().batch_execute(&past).unwrap();
    });
    let expired = client.get_customer(&name).await.unwrap();
    assert_eq!(expired.kyc.as_ref().unwrap().state(), State::Expired);
    for (state, count) in [("EXPIRED", 1), ("APPROVED", 0)] {
        let filter = format!("kyc_state = {state}");
        let request = wire::ListCustomersRequest { filter, ..Default::default() };
        let found = client.customers.list_customers(request).await.unwrap().into_inner();
        assert_eq!(found.customers.len(), count, "{state}");
    }
    let mut events = EventServiceClient::with_interceptor(
        world.server.channel(),
        shared::testing::Bearer::new(&world.issuer.bearer(world.tenant, &["*"])),
    );
    let types = vec!["customer.kycExpired".to_owned()];
    let told = eventually("the event", async || {
        let request = ListEventsRequest { types: types.clone(), ..Default::default() };
        events.list_events(request).await.unwrap().into_inner().events.pop()
    })
    .await;
    assert_eq!(told.subject, name);
    let after = client.get_customer(&name).await.unwrap();
    assert_eq!(after, expired, "writing it down changes nothing");
    assert_eq!(after.etag, approved.etag);
}
