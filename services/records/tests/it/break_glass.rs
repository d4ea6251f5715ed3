//! Break-glass leases are opened, ended, reviewed by somebody else, and told of where nobody does.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::break_glass_lease::Verdict;

use crate::realm::{Member, Realm};
use crate::world::{Answer, is_replayed, reason};

fn open(subject: &str) -> wire::OpenBreakGlassRequest {
    let lease = wire::BreakGlassLease {
        subject: subject.to_owned(),
        reason_code: "unconscious-patient".to_owned(),
        reason: "found in the street".to_owned(),
        ..wire::BreakGlassLease::default()
    };
    wire::OpenBreakGlassRequest { lease: Some(lease), request_id: String::new() }
}

async fn review(
    member: &mut Member,
    name: &str,
    verdict: Verdict,
) -> Answer<wire::BreakGlassLease> {
    let request = wire::ReviewBreakGlassRequest {
        name: name.to_owned(),
        verdict: verdict.into(),
        request_id: String::new(),
    };
    member.governance.review_break_glass(request).await
}

async fn close(member: &mut Member, name: &str) -> Answer<wire::BreakGlassLease> {
    let request = wire::CloseBreakGlassRequest { name: name.to_owned(), ..Default::default() };
    member.governance.close_break_glass(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_ended_by_its_holder_and_reviewed_by_another() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    let subject = ann.subject().await;
    let mut request = open(&subject);
    request.request_id = "once".to_owned();
    let lease = ann.governance.open_break_glass(request.clone()).await.unwrap().into_inner();
    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!(seconds(lease.end_time) - seconds(lease.create_time), 3_600);
    assert_eq!(seconds(lease.review_due_time) - seconds(lease.create_time), 86_400);
    assert!(is_replayed(&ann.governance.open_break_glass(request.clone()).await.unwrap()));
    request.lease.as_mut().unwrap().reason = "curious".to_owned();
    let other = ann.governance.open_break_glass(request).await;
    assert_eq!(reason(other), Reason::RequestIdReused);

    assert_eq!(reason(close(&mut bob, &lease.name).await), Reason::ResourceNotFound);
    realm.clock.advance(Duration::from_secs(60));
    let closed = close(&mut ann, &lease.name).await.unwrap().into_inner();
    assert_eq!(seconds(closed.end_time) - seconds(closed.create_time), 60);
    assert_eq!(reason(close(&mut ann, &lease.name).await), Reason::InvalidTransition);

    let own = review(&mut ann, &lease.name, Verdict::Justified).await;
    assert_eq!(reason(own), Reason::ApprovalRequired);
    let reviewed = review(&mut bob, &lease.name, Verdict::Justified).await.unwrap().into_inner();
    assert!(reviewed.review_time.is_some() && !reviewed.reviewer.is_empty());
    let again = review(&mut bob, &lease.name, Verdict::Unjustified).await;
    assert_eq!(reason(again), Reason::InvalidTransition);
    for (reviewed, count) in [("true", 1), ("false", 0)] {
        let filter = format!("subject = {subject} AND reviewed = {reviewed}");
        let request = wire::ListBreakGlassRequest { filter, ..Default::default() };
        let listed = ann.governance.list_break_glass(request).await.unwrap().into_inner();
        assert_eq!(listed.leases.len(), count);
    }
    for kind in ["breakGlass.opened", "breakGlass.closed", "breakGlass.reviewed"] {
        assert_eq!(realm.events(kind), 1, "{kind}");
    }
    let words = realm.world.count("changes WHERE changes::text LIKE '%street%'");
    assert_eq!(words, 0, "events have codes, and no words");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_is_late_is_told_once_and_blocks_where_the_policy_says_so() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    let subject = ann.subject().await;
    let lease = ann.governance.open_break_glass(open(&subject)).await.unwrap().into_inner();
    realm.pass(1);
    for _ in 0..3_000 {
        if realm.events("breakGlass.overdue") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Nobody dies of a missing review.
    ann.governance.open_break_glass(open(&subject)).await.unwrap();
    let policy = wire::Policy { break_glass_blocks: true, ..Default::default() };
    bob.policy(policy).await.unwrap();
    realm.clock.advance(Duration::from_micros(1));
    let refused = ann.governance.open_break_glass(open(&subject)).await.unwrap_err();
    let (why, _, figures) = refusal(&refused);
    assert_eq!((why, &figures["lease"]), (Reason::ApprovalRequired, &lease.name));
    let entry = realm.world.accesses().pop().unwrap();
    assert_eq!((entry.decision, entry.reason.as_deref()), (2, Some("APPROVAL_REQUIRED")));
    bob.governance.open_break_glass(open(&subject)).await.unwrap();
    review(&mut bob, &lease.name, Verdict::Unjustified).await.unwrap();
    ann.governance.open_break_glass(open(&subject)).await.unwrap();
    assert_eq!(realm.events("breakGlass.overdue"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_short_and_has_a_reason() {
    type Change = fn(&mut wire::BreakGlassLease);
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let changes: [(Change, &str); 5] = [
        (|l| l.reason = String::new(), "lease.reason"),
        (|l| l.reason_code = String::new(), "lease.reason_code"),
        (|l| l.duration = Some(prost_types::Duration::default()), "lease.duration"),
        (
            |l| l.duration = Some(prost_types::Duration { seconds: 14_401, nanos: 0 }),
            "lease.duration",
        ),
        (|l| l.duration = Some(prost_types::Duration { seconds: -1, nanos: 0 }), "lease.duration"),
    ];
    for (change, field) in changes {
        let mut request = open(&subject);
        change(request.lease.as_mut().unwrap());
        let refused = ann.governance.open_break_glass(request).await.unwrap_err();
        let (reason, found, _) = refusal(&refused);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, field));
    }
    assert_eq!(realm.world.count("break_glass_leases"), 0);
}
