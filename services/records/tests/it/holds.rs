//! Legal holds: nobody releases one alone, and nothing is erased under one.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::erasure::State;
use wire::legal_hold::State as Hold;

use crate::realm::{Realm, place};
use crate::world::{id_of, is_replayed, reason};

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_for_a_hold_that_two_release() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    let subject = ann.subject().await;
    let record = ann.record(&subject, b"secret").await;
    let (hold, other) = (ann.hold(&subject).await, ann.hold(&record.name).await);
    let erasure = ann.erase(&subject).await.unwrap().into_inner();
    assert_eq!(erasure.state(), State::Blocked);
    let mut names: Vec<_> = erasure.blockers.iter().map(|one| one.name.clone()).collect();
    names.sort();
    let mut expected = [hold.name.clone(), other.name.clone()];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(ann.state(&subject).await, wire::subject::State::Restricted);

    for name in [&hold.name, &other.name] {
        let asked = ann.release(name).await.unwrap().into_inner();
        assert_eq!(asked.state(), Hold::ReleaseRequested);
        assert_eq!(reason(ann.release(name).await), Reason::ApprovalRequired);
        assert_eq!(ann.erasure(&erasure.name).await.state(), State::Blocked);
        let released = bob.release(name).await.unwrap().into_inner();
        assert_eq!(released.state(), Hold::Released);
        assert!(released.release_time.is_some());
        assert!(!released.releaser.is_empty() && released.releaser != asked.release_requester);
        assert_eq!(reason(bob.release(name).await), Reason::InvalidTransition);
    }
    bob.until(&erasure.name, State::Done).await;
    assert_eq!(realm.events("legalHold.placed"), 2);
    assert_eq!(realm.events("legalHold.releaseRequested"), 2);
    assert_eq!(realm.events("legalHold.released"), 2);
    assert_eq!(realm.events("erasure.done"), 1);
    // The hold stays, and the words of people are gone.
    let listed = ann.governance.list_legal_holds(wire::ListLegalHoldsRequest::default()).await;
    let listed = listed.unwrap().into_inner().legal_holds;
    assert!(listed.len() == 2 && listed.iter().all(|hold| hold.case_reference.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_placed_once() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let mut request = place(&subject);
    request.validate_only = true;
    let checked = ann.governance.place_legal_hold(request.clone()).await.unwrap().into_inner();
    assert_eq!((checked.target.as_str(), realm.world.count("legal_holds")), (&*subject, 0));
    request.validate_only = false;
    request.request_id = "once".to_owned();
    let first = ann.governance.place_legal_hold(request.clone()).await.unwrap();
    let second = ann.governance.place_legal_hold(request.clone()).await.unwrap();
    assert!(!is_replayed(&first) && is_replayed(&second));
    assert_eq!(first.get_ref(), second.get_ref());
    // The reference is not in the hash of the request, and is compared all the same.
    let mut other = request.clone();
    other.legal_hold.as_mut().unwrap().case_reference = "case 4712".to_owned();
    assert_eq!(reason(ann.governance.place_legal_hold(other).await), Reason::RequestIdReused);
    request.request_id = String::new();
    request.legal_hold_id = id_of(&first.get_ref().name).to_owned();
    for validate_only in [true, false] {
        request.validate_only = validate_only;
        let taken = ann.governance.place_legal_hold(request.clone()).await;
        assert_eq!(reason(taken), Reason::IdTaken);
    }
    assert_eq!(realm.world.count("legal_holds"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_listed_by_what_they_hold() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    let (subject, other) = (ann.subject().await, ann.subject().await);
    let record = ann.record(&subject, b"secret").await.name;
    let mut placed = Vec::new();
    for target in [&subject, &record, &other, &subject, &other] {
        placed.push(ann.hold(target).await.name);
        realm.clock.advance(std::time::Duration::from_micros(1));
    }
    placed.reverse();
    ann.release(&placed[0]).await.unwrap();
    bob.release(&placed[0]).await.unwrap();
    let at = |indexes: &[usize]| indexes.iter().map(|at| placed[*at].clone()).collect::<Vec<_>>();
    for (filter, expected) in [
        (String::new(), at(&[0, 1, 2, 3, 4])),
        (format!("target = {subject}"), at(&[1, 4])),
        (format!("target = {record}"), at(&[3])),
        (format!("target = {other} AND state = ACTIVE"), at(&[2])),
        ("state = STATE_RELEASED".to_owned(), at(&[0])),
        ("authority = \"court-of-bern\"".to_owned(), Vec::new()),
    ] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                wire::ListLegalHoldsRequest { page_size: 2, page_token, filter: filter.clone() };
            let page = ann.governance.list_legal_holds(request).await.unwrap().into_inner();
            found.extend(page.legal_holds.into_iter().map(|hold| hold.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter}");
    }
    let request = wire::ListLegalHoldsRequest { page_size: 2, ..Default::default() };
    let page_token =
        ann.governance.list_legal_holds(request).await.unwrap().into_inner().next_page_token;
    let mut stranger = realm.member_of(realm.world.database.tenant());
    let request = wire::ListLegalHoldsRequest { page_token, ..Default::default() };
    let answer = stranger.governance.list_legal_holds(request).await;
    assert_eq!(reason(answer), Reason::PageTokenInvalid);
    let request = wire::ListLegalHoldsRequest::default();
    let seen = stranger.governance.list_legal_holds(request).await.unwrap().into_inner();
    assert!(seen.legal_holds.is_empty());
    assert_eq!(reason(stranger.release(&placed[1]).await), Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_by_field() {
    type Change = fn(&mut wire::PlaceLegalHoldRequest, &mut wire::LegalHold);
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let changes: [(Change, &str); 7] = [
        (|_, hold| hold.target = "subjects/1".to_owned(), "legal_hold.target"),
        (|_, hold| hold.target = "legalHolds/1".to_owned(), "legal_hold.target"),
        (|_, hold| hold.authority = "Court".to_owned(), "legal_hold.authority"),
        (|_, hold| hold.case_reference = String::new(), "legal_hold.case_reference"),
        (|_, hold| hold.case_reference = "x".repeat(257), "legal_hold.case_reference"),
        (|request, _| request.legal_hold_id = "1".to_owned(), "legal_hold_id"),
        (|request, _| request.request_id = "x".repeat(129), "request_id"),
    ];
    for (change, field) in changes {
        let mut request = place(&subject);
        let mut hold = request.legal_hold.take().unwrap();
        change(&mut request, &mut hold);
        request.legal_hold = Some(hold);
        let refused = ann.governance.place_legal_hold(request).await.unwrap_err();
        let (reason, found, _) = refusal(&refused);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, field));
    }
    let unknown = id_of(&subject);
    for target in ["subjects", "records"] {
        let target = format!("{target}/{}", unknown.replace(&unknown[..4], "ffff"));
        let answer = ann.governance.place_legal_hold(place(&target)).await;
        assert_eq!(reason(answer), Reason::ResourceNotFound);
    }
    let filter = "target = subjects/1".to_owned();
    let request = wire::ListLegalHoldsRequest { filter, ..Default::default() };
    let answer = ann.governance.list_legal_holds(request).await;
    assert_eq!(reason(answer), Reason::FilterInvalid);
    assert_eq!(realm.world.count("legal_holds"), 0);
}
