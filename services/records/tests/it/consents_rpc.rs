//! Consents are recorded and revoked. What they mean for reads is tested elsewhere.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::consent::Decision;

use crate::realm::Realm;
use crate::world::{is_replayed, reason};

fn grant(subject: &str) -> wire::GrantConsentRequest {
    let consent = wire::Consent {
        subject: subject.to_owned(),
        grantee: "clerk".to_owned(),
        purposes: vec!["TREAT".to_owned(), "KYC".to_owned(), "TREAT".to_owned()],
        types: vec!["kyc-file".to_owned()],
        decision: Decision::Permit.into(),
        ..wire::Consent::default()
    };
    wire::GrantConsentRequest { consent: Some(consent), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_granted_and_revoked_once() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let (subject, other) = (ann.subject().await, ann.subject().await);
    let mut request = grant(&subject);
    request.request_id = "once".to_owned();
    let granted = ann.governance.grant_consent(request.clone()).await.unwrap().into_inner();
    assert_eq!(granted.purposes, ["KYC", "TREAT"]);
    assert_eq!((granted.start_time, granted.end_time), (granted.create_time, None));
    // The same consent in another order is the same request.
    request.consent.as_mut().unwrap().purposes.reverse();
    assert!(is_replayed(&ann.governance.grant_consent(request).await.unwrap()));
    ann.governance.grant_consent(grant(&other)).await.unwrap();

    for filter in
        [format!("subject = {subject}"), format!("grantee = clerk AND subject = {subject}")]
    {
        let request = wire::ListConsentsRequest { filter, ..Default::default() };
        let listed = ann.governance.list_consents(request).await.unwrap().into_inner();
        assert_eq!(listed.consents, std::slice::from_ref(&granted));
    }
    let revoke = |request_id: &str| wire::RevokeConsentRequest {
        name: granted.name.clone(),
        request_id: request_id.to_owned(),
    };
    let revoked = ann.governance.revoke_consent(revoke("end")).await.unwrap().into_inner();
    assert!(revoked.revoke_time.is_some() && revoked.etag != granted.etag);
    assert!(is_replayed(&ann.governance.revoke_consent(revoke("end")).await.unwrap()));
    let again = ann.governance.revoke_consent(revoke("again")).await;
    assert_eq!(reason(again), Reason::InvalidTransition);
    assert_eq!((realm.events("consent.granted"), realm.events("consent.revoked")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_consents_are_refused_by_field() {
    type Change = fn(&mut wire::Consent);
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let changes: [(Change, Reason, &str); 9] = [
        (|c| c.subject = "subjects/1".to_owned(), Reason::FieldInvalid, "consent.subject"),
        (|c| c.grantee = String::new(), Reason::FieldInvalid, "consent.grantee"),
        (|c| c.purposes = Vec::new(), Reason::FieldInvalid, "consent.purposes"),
        (|c| c.purposes = vec!["KYC".to_owned(); 65], Reason::FieldInvalid, "consent.purposes"),
        (|c| c.purposes.push("*".to_owned()), Reason::FieldInvalid, "consent.purposes"),
        (|c| c.purposes[1] = "WHIM".to_owned(), Reason::PurposeUnknown, "consent.purposes[1]"),
        (|c| c.types[0] = "KYC".to_owned(), Reason::FieldInvalid, "consent.types[0]"),
        (|c| c.decision = 0, Reason::FieldInvalid, "consent.decision"),
        (|c| c.decision = 7, Reason::FieldInvalid, "consent.decision"),
    ];
    for (change, expected, field) in changes {
        let mut request = grant(&subject);
        change(request.consent.as_mut().unwrap());
        let refused = ann.governance.grant_consent(request).await.unwrap_err();
        let (reason, found, _) = refusal(&refused);
        assert_eq!((reason, found.as_str()), (expected, field));
    }
    let mut request = grant(&subject);
    let consent = request.consent.as_mut().unwrap();
    (consent.start_time, consent.end_time) = (at(2_000_000_000), at(2_000_000_000));
    let refused = ann.governance.grant_consent(request).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "consent.end_time");
    assert_eq!(realm.world.count("consents"), 0);
}
