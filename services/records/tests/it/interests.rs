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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_retention_is_purged_unless_it_is_held() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    let subject = ann.subject().await;
    let (free, held) = (ann.record(&subject, b"one").await, ann.record(&subject, b"two").await);
    let legal_hold = ann.hold(&held.name).await.name;
    realm.world.owner_sql("UPDATE records SET expire_time = create_time");
    let purged = async |count| {
        let from = "records JOIN record_versions v ON v.record_id = id \
                    WHERE state = 3 AND v.data_key IS NULL AND v.body IS NULL";
        for _ in 0..3_000 {
            if realm.world.count(from) == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("there are not {count} purged records");
    };
    let count = |name: &str| {
        let id = crate::world::id_of(name);
        realm.world.count(&format!("records WHERE state = 3 AND id = '{id}'"))
    };
    purged(1).await;
    assert_eq!((count(&free.name), count(&held.name)), (1, 0));
    ann.release(&legal_hold).await.unwrap();
    bob.release(&legal_hold).await.unwrap();
    purged(2).await;
    assert_eq!(realm.events("record.purged"), 2);
}
