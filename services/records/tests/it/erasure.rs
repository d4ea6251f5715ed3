//! Subjects whose data may be used for little, or for nothing any more.

use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{World, create, get, id_of, is_replayed, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_subject_is_for_legal_purposes_only() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    world.owner_sql("UPDATE subjects SET state = 2");
    let read = |purpose| caller.get_record(get(&record.name, View::Full, purpose));
    assert_eq!(reason(read("TREAT").await), Reason::SubjectRestricted);
    assert_eq!(&read("LEGAL").await.unwrap().get_ref().content[..], b"secret");
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(caller.create_record(request).await), Reason::SubjectRestricted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_subject_is_gone_and_stays_gone() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    request.request_id = "before".to_owned();
    let made = caller.create_record(request.clone()).await.unwrap().into_inner();
    world.owner_sql("UPDATE subjects SET state = 3; DELETE FROM subject_keys");

    for view in [View::Masked, View::Full] {
        let answer = caller.get_record(get(&made.name, view, "LEGAL")).await;
        assert_eq!(reason(answer), Reason::SubjectErased);
    }
    let repeated = caller.create_record(request.clone()).await.unwrap();
    assert!(is_replayed(&repeated) && repeated.get_ref() == &made);
    // A decision of business is frozen: the request id repeats it.
    request.request_id = "after".to_owned();
    for _ in 0..2 {
        assert_eq!(reason(caller.create_record(request.clone()).await), Reason::SubjectErased);
    }
    assert_eq!(world.count("outcomes WHERE state = 4"), 1);

    let subject_id = id_of(&subject).to_owned();
    let request = wire::CreateSubjectRequest { subject_id, ..Default::default() };
    assert_eq!(reason(caller.create_subject(request).await), Reason::SubjectErased);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_whose_key_is_lost_is_a_broken_seal() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    world.owner_sql("DELETE FROM subject_keys");
    assert_eq!(caller.content(&record.name).await, Err(Reason::SealBroken));
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(caller.create_record(request).await), Reason::SealBroken);
}
