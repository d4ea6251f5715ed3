//! The policy of a tenant.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;

use crate::realm::{Realm, days};
use crate::world::reason;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_replaced_as_a_whole_and_by_etag() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let first = ann.governance.get_policy(wire::GetPolicyRequest {}).await.unwrap().into_inner();
    assert_eq!((first.erasure_delay, first.backup_retention), (None, days(30)));
    assert!(first.update_time.is_none() && !first.break_glass_blocks);

    let wanted = wire::Policy {
        erasure_delay: days(7),
        break_glass_blocks: true,
        etag: first.etag.clone(),
        ..wire::Policy::default()
    };
    let second = ann.policy(wanted.clone()).await.unwrap().into_inner();
    assert_eq!((second.erasure_delay, second.backup_retention), (days(7), days(30)));
    assert!(second.update_time.is_some() && second.break_glass_blocks);
    let refused = ann.policy(wanted).await.unwrap_err();
    let (why, _, figures) = refusal(&refused);
    assert_eq!((why, &figures["etag"]), (Reason::EtagMismatch, &second.etag));

    let third = ann.policy(wire::Policy::default()).await.unwrap().into_inner();
    assert_eq!((third.erasure_delay, third.break_glass_blocks), (None, false));
    let read = ann.governance.get_policy(wire::GetPolicyRequest {}).await.unwrap().into_inner();
    assert_eq!((read, realm.events("policy.updated")), (third, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_have_limits() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    for (erasure_delay, backup_retention) in
        [(days(91), None), (days(-1), None), (None, days(3_651)), (None, days(-1))]
    {
        let policy = wire::Policy { erasure_delay, backup_retention, ..Default::default() };
        assert_eq!(reason(ann.policy(policy).await), Reason::FieldInvalid);
    }
    assert_eq!(realm.world.count("policies"), 0);
}
