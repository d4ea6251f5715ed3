//! Retention interests: the last word of a source holds, and an erasure waits for it.

use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::erasure::State;

use crate::realm::Realm;
use crate::world::reason;

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_until_an_interest_ends_by_the_clock() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let now = realm.clock.clock().now();
    let later = now.plus(std::time::Duration::from_secs(30 * 60)).encode();
    let set = ann.interest(&subject, Some(later)).await.unwrap().into_inner();
    let erasure = ann.erase(&subject).await.unwrap().into_inner();
    assert_eq!(erasure.state(), State::Blocked);
    let [blocker] = &erasure.blockers[..] else { panic!("{erasure:?}") };
    assert_eq!((&blocker.name, blocker.end_time), (&set.name, Some(later)));
    realm.clock.advance(std::time::Duration::from_secs(30 * 60));
    ann.until(&erasure.name, State::Done).await;
    assert_eq!(reason(ann.interest(&subject, None).await), Reason::SubjectErased);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_set_an_interest_ends_it() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let open = ann.interest(&subject, None).await.unwrap().into_inner();
    let erasure = ann.erase(&subject).await.unwrap().into_inner();
    assert_eq!(erasure.state(), State::Blocked);
    let now = realm.clock.clock().now().encode();
    let ended = ann.interest(&subject, Some(now)).await.unwrap().into_inner();
    assert_eq!((&ended.name, ended.end_time), (&open.name, Some(now)));
    assert_eq!(ended.create_time, open.create_time);
    ann.until(&erasure.name, State::Done).await;
    assert_eq!(realm.world.count("retention_interests"), 1);
    assert_eq!(realm.events("retentionInterest.set"), 2);

    let filter = format!("subject = {subject} AND source = accounts");
    let request = wire::ListRetentionInterestsRequest { filter, ..Default::default() };
    let listed = ann.governance.list_retention_interests(request).await.unwrap().into_inner();
    assert_eq!(listed.retention_interests, [ended]);
    let filter = "source = cards".to_owned();
    let request = wire::ListRetentionInterestsRequest { filter, ..Default::default() };
    let listed = ann.governance.list_retention_interests(request).await.unwrap().into_inner();
    assert!(listed.retention_interests.is_empty());
}
