//! Bad input gets the right reason and field, and changes nothing.

use prost_types::Timestamp;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{World, create, get};

type Change = fn(&mut wire::CreateRecordRequest);

fn record(request: &mut wire::CreateRecordRequest) -> &mut wire::Record {
    request.record.as_mut().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sealed_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let changes: &[(Change, &str)] = &[
        (|r| r.record = None, "record"),
        (|r| record(r).subject = "subjects/1".to_owned(), "record.subject"),
        (|r| record(r).subject = String::new(), "record.subject"),
        (|r| record(r).subject.make_ascii_uppercase(), "record.subject"),
        (|r| record(r).r#type = "KYC file".to_owned(), "record.type"),
        (|r| record(r).r#type = String::new(), "record.type"),
        (|r| record(r).r#type = "x".repeat(65), "record.type"),
        (|r| record(r).content_type = "json".to_owned(), "record.content_type"),
        (|r| record(r).content_type = "text/plain;charset=x".to_owned(), "record.content_type"),
        (|r| record(r).content = Vec::new().into(), "record.content"),
        (|r| record(r).content = vec![b' '; (1 << 20) + 1].into(), "record.content"),
        (|r| record(r).content = b"{\"a\": Jane}".to_vec().into(), "record.content"),
        (|r| record(r).content = vec![b'['; 1 << 20].into(), "record.content"),
        (|r| record(r).content = b"\xff\xfe".to_vec().into(), "record.content"),
        (|r| record(r).content_type = "application/fhir+json".to_owned(), ""),
        (|r| record(r).labels = labels(33, 1, 1), "record.labels"),
        (|r| record(r).labels = labels(1, 64, 1), "record.labels"),
        (|r| record(r).labels = labels(1, 1, 257), "record.labels.0"),
        (|r| record(r).event_time = Some(Timestamp { seconds: 1, nanos: 1 }), "record.event_time"),
        (|r| r.record_id = "1".to_owned(), "record_id"),
        (|r| r.record_id = "0197A5C2-0000-7000-8000-000000000000".to_owned(), "record_id"),
        (|r| r.request_id = "x".repeat(129), "request_id"),
    ];
    for (index, (change, field)) in changes.iter().enumerate() {
        let mut request = create(&subject, "application/json", b"{\"name\": \"Jane\"}");
        request.request_id = format!("request-{index}");
        change(&mut request);
        request.validate_only = field.is_empty();
        let answer = caller.create_record(request).await;
        if field.is_empty() {
            answer.unwrap();
            continue;
        }
        let status = answer.unwrap_err();
        let (reason, found, _) = refusal(&status);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, *field), "{index}");
        assert!(!status.message().contains("Jane"), "{status:?}");
    }
    assert_eq!((world.count("records"), world.count("outcomes")), (0, 0));
    assert_eq!(world.count("accesses"), 1);
}

fn labels(count: usize, key: usize, value: usize) -> std::collections::BTreeMap<String, String> {
    (0..count).map(|index| (format!("{index:0>key$}"), "v".repeat(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_json_is_told_by_place() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let request = create(&subject, "application/json", b"{\"name\":\n  Jane}");
    let status = caller.create_record(request).await.unwrap_err();
    let expected = "record.content must be JSON, as its content type says: see line 2, column 3";
    assert_eq!(status.message(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_unread() {
    let world = World::new().await;
    let caller = world.caller();
    let request = create("subjects/x", "text/plain", &vec![0; 5 << 20]);
    let status = caller.create_record(request).await.unwrap_err();
    assert_eq!(refusal(&status).0, Reason::MessageTooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"secret").await.name;
    let unknown = "records/0197a5c2-0000-7000-8000-000000000000";
    let mut odd = get(&name, View::Full, "KYC");
    odd.view = 9;
    for (request, reason, field) in [
        (get("records/1", View::Basic, ""), Reason::FieldInvalid, "name"),
        (get("", View::Basic, ""), Reason::FieldInvalid, "name"),
        (get(&subject, View::Basic, ""), Reason::FieldInvalid, "name"),
        (odd, Reason::FieldInvalid, "view"),
        (get(&name, View::Full, ""), Reason::PurposeRequired, "purpose"),
        (get(&name, View::Masked, ""), Reason::PurposeRequired, "purpose"),
        (get(&name, View::Unspecified, "kyc"), Reason::PurposeUnknown, "purpose"),
        (get(unknown, View::Full, "KYC"), Reason::ResourceNotFound, ""),
    ] {
        let status = caller.get_record(request.clone()).await.unwrap_err();
        let (found, at, _) = refusal(&status);
        assert_eq!((found, at.as_str()), (reason, field), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_have_little_to_get_wrong() {
    let world = World::new().await;
    let caller = world.caller();
    for (subject_id, request_id, field) in [
        ("1", String::new(), "subject_id"),
        ("0197A5C2-0000-7000-8000-000000000000", String::new(), "subject_id"),
        ("", "x".repeat(129), "request_id"),
    ] {
        let subject_id = subject_id.to_owned();
        let request = wire::CreateSubjectRequest { subject_id, request_id, ..Default::default() };
        let (reason, found, _) = refusal(&caller.create_subject(request).await.unwrap_err());
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, field));
    }
    assert_eq!(world.count("subjects"), 0);
    let unknown = "subjects/0197a5c2-0000-7000-8000-000000000000";
    let request = create(unknown, "text/plain", b"x");
    let (reason, _, figures) = refusal(&caller.create_record(request).await.unwrap_err());
    assert_eq!((reason, figures["name"].as_str()), (Reason::ResourceNotFound, unknown));
}
