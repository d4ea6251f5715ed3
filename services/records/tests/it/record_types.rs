//! Record types: declared, read, listed and changed.

use std::time::Duration;

use serde_json::json;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;
use wire::field_index::Normalisation as By;

use crate::callers::records::{declare, field, index, json_type};
use crate::world::{World, create, is_replayed, reason};

const SCHEMA: &str = r#"{"type": "object", "required": ["name"]}"#;

fn full() -> wire::RecordType {
    let harmless = wire::FieldSensitivity::Harmless.into();
    let mut kind = json_type(
        SCHEMA,
        vec![
            field("/contact/*/email", index("email", 0, By::Email)),
            wire::FieldRule { path: "/country".to_owned(), sensitivity: harmless, index: None },
        ],
    );
    let start = wire::retention::Start::EventTime.into();
    kind.retention = Some(wire::Retention { days: 3_650, start });
    kind.requires_consent = true;
    kind
}

fn change(kind: wire::RecordType, paths: &[&str]) -> wire::UpdateRecordTypeRequest {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = (!paths.is_empty()).then_some(prost_types::FieldMask { paths });
    wire::UpdateRecordTypeRequest { record_type: Some(kind), update_mask, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_is_read_back() {
    let world = World::new().await;
    let caller = world.caller();
    let mut request = declare("kyc-file", full());
    request.request_id = "once".to_owned();
    request.validate_only = true;
    caller.create_record_type(request.clone()).await.unwrap();
    assert_eq!(world.count("record_types"), 0);
    request.validate_only = false;
    let made = caller.create_record_type(request.clone()).await.unwrap();
    let again = caller.create_record_type(request.clone()).await.unwrap();
    assert!(!is_replayed(&made) && is_replayed(&again));
    assert_eq!(made.get_ref(), again.get_ref());

    let name = "recordTypes/kyc-file".to_owned();
    let read = caller.get_record_type(wire::GetRecordTypeRequest { name: name.clone() }).await;
    let read = read.unwrap().into_inner();
    assert_eq!(&read, made.get_ref());
    let bits = |kind: &mut wire::RecordType| {
        kind.fields[0].index.as_mut().unwrap().bits = 128;
        (kind.create_time, kind.update_time, kind.etag) = (None, None, String::new());
    };
    let (mut read, mut asked) = (read, wire::RecordType { name, ..full() });
    bits(&mut read);
    bits(&mut asked);
    assert_eq!(read, asked);

    request.record_type.as_mut().unwrap().requires_consent = false;
    assert_eq!(reason(caller.create_record_type(request).await), Reason::RequestIdReused);
    let taken = caller.create_record_type(declare("kyc-file", full())).await;
    assert_eq!(reason(taken), Reason::IdTaken);
    let log = world.accesses();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].action, "records.recordTypes.create");
    assert_eq!(world.count("changes WHERE kind = 'recordType.created'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_declared_is_told_by_its_field() {
    let world = World::new().await;
    let caller = world.caller();
    let schema = |text: &str| json_type(text, Vec::new());
    // Each definition applies the one before it twice.
    let bomb = |n: u32| {
        let defs: serde_json::Map<_, _> = (1..=n)
            .map(|i| {
                let below = json!({"$ref": format!("#/$defs/d{}", i - 1)});
                (format!("d{i}"), json!({"allOf": [below, below]}))
            })
            .chain([("d0".to_owned(), json!({"type": "string"}))])
            .collect();
        json!({"$ref": format!("#/$defs/d{n}"), "$defs": defs}).to_string()
    };
    let email = || index("email", 0, By::Email);
    let with = |change: fn(&mut wire::RecordType)| {
        let mut kind = full();
        change(&mut kind);
        kind
    };
    for (kind, place) in [
        (schema("{"), "json_schema"),
        (schema("{\"type\": \"text\"}"), "json_schema"),
        (schema("{\"$ref\": \"https://example.com/schema\"}"), "json_schema"),
        (schema("{\"$ref\": \"file:///etc/passwd\"}"), "json_schema"),
        (schema(&bomb(30)), "json_schema"),
        (schema(&format!("{}1{}", "[".repeat(200), "]".repeat(200))), "json_schema"),
        (schema(&format!("\"{}\"", "x".repeat(1 << 16))), "json_schema"),
        (schema("{\"pattern\": \"(a{1000}){1000}\"}"), "json_schema"),
        (with(|kind| kind.content_type = "application/pdf".to_owned()), "json_schema"),
        (with(|kind| kind.content_type = "pdf".to_owned()), "content_type"),
        (with(|kind| kind.content_type = String::new()), "json_schema"),
        (with(|kind| kind.retention.as_mut().unwrap().days = 0), "retention.days"),
        (with(|kind| kind.retention.as_mut().unwrap().days = -1), "retention.days"),
        (with(|kind| kind.retention.as_mut().unwrap().start = 9), "retention.start"),
        (with(|kind| kind.fields[1].sensitivity = 9), "fields[1].sensitivity"),
        (json_type("", vec![field("name", None)]), "fields[0].path"),
        (json_type("", vec![field("/a", None), field("/a", None)]), "fields[1].path"),
        (json_type("", vec![field("/a", index("E-Mail", 0, By::Email))]), "fields[0].index.name"),
        (json_type("", vec![field("/a", index("a", -1, By::Email))]), "fields[0].index.bits"),
        (json_type("", vec![field("/a", index("a", 129, By::Email))]), "fields[0].index.bits"),
        (json_type("", vec![field("/a", email()); 65]), "fields"),
    ] {
        let expected = format!("record_type.{place}");
        assert_eq!(caller.refused_field(kind.clone()).await, expected, "{kind:?}");
    }
    for id in ["", "KYC", "kyc file", &"x".repeat(65)] {
        let status = caller.create_record_type(declare(id, full())).await.unwrap_err();
        assert_eq!(refusal(&status).1, "record_type_id");
    }
    assert_eq!(world.count("record_types"), 0);
    assert_eq!(world.count("outcomes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_its_fields_and_its_etag() {
    let world = World::new().await;
    let caller = world.caller();
    let made = caller.declare("kyc-file", full()).await;
    let named = |kind: wire::RecordType| wire::RecordType { name: made.name.clone(), ..kind };

    let mut request = change(named(wire::RecordType::default()), &["retention"]);
    request.request_id = "once".to_owned();
    request.record_type.as_mut().unwrap().etag.clone_from(&made.etag);
    let changed = caller.update_record_type(request.clone()).await.unwrap().into_inner();
    let expected = wire::RecordType {
        retention: None,
        etag: changed.etag.clone(),
        update_time: changed.update_time,
        ..made.clone()
    };
    assert_eq!(changed, expected);
    assert_ne!(changed.etag, made.etag);
    assert!(is_replayed(&caller.update_record_type(request.clone()).await.unwrap()));

    request.request_id = "twice".to_owned();
    let status = caller.update_record_type(request).await.unwrap_err();
    let (reason_found, _, figures) = refusal(&status);
    assert_eq!((reason_found, &figures["etag"]), (Reason::EtagMismatch, &changed.etag));

    // Without a mask, what is populated: what was read may be sent back.
    let mut whole = changed.clone();
    whole.json_schema = r#"{"type": "object"}"#.to_owned();
    let changed = caller.update_record_type(change(whole, &[])).await.unwrap().into_inner();
    assert!(changed.requires_consent && changed.fields == made.fields);
    assert_eq!(changed.json_schema, r#"{"type": "object"}"#);

    let mut pdf = named(wire::RecordType::default());
    pdf.content_type = "application/pdf".to_owned();
    let bad = named(json_type("{", Vec::new()));
    for (request, place) in [
        (change(named(wire::RecordType::default()), &[]), "update_mask"),
        (change(pdf, &["fields"]), "record_type.content_type"),
        (change(bad, &["json_schema"]), "record_type.json_schema"),
        (change(named(full()), &["content_type"]), "update_mask"),
        (change(full(), &["fields"]), "record_type.name"),
    ] {
        let status = caller.update_record_type(request).await.unwrap_err();
        assert_eq!(refusal(&status).1, place);
    }
    let unknown = wire::RecordType { name: "recordTypes/unknown".to_owned(), ..full() };
    let answer = caller.update_record_type(change(unknown, &["fields"])).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_all_happen() {
    let world = World::new().await;
    let made = world.caller().declare("kyc-file", full()).await;
    let mut calls = tokio::task::JoinSet::new();
    for (days, consent) in [(7, false), (8, true)] {
        let (caller, mut kind) = (world.caller(), made.clone());
        kind.etag.clear();
        kind.retention.as_mut().unwrap().days = days;
        kind.requires_consent = consent;
        let mask = if consent { "requires_consent" } else { "retention" };
        calls.spawn(async move { caller.update_record_type(change(kind, &[mask])).await.unwrap() });
    }
    calls.join_all().await;
    let name = made.name.clone();
    let read = world.caller().get_record_type(wire::GetRecordTypeRequest { name }).await.unwrap();
    assert!(read.get_ref().requires_consent);
    assert_eq!(read.get_ref().retention.unwrap().days, 7);
    assert_eq!(read.get_ref().etag, "\"3\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_listed_by_id_and_of_one_tenant() {
    let world = World::new().await;
    let (caller, other) = (world.caller(), world.caller_in(world.database.tenant(), &["*"]));
    for id in ["c", "a", "b", "a-1"] {
        caller.declare(id, full()).await;
    }
    other.declare("x", full()).await;
    let mut request = wire::ListRecordTypesRequest { page_size: 3, ..Default::default() };
    let first = caller.list_record_types(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = caller.list_record_types(request.clone()).await.unwrap().into_inner();
    let listed = first.record_types.iter().chain(&second.record_types);
    let listed: Vec<_> = listed.map(|kind| kind.name.as_str()).collect();
    assert_eq!(listed, ["recordTypes/a", "recordTypes/a-1", "recordTypes/b", "recordTypes/c"]);
    assert!(second.next_page_token.is_empty());
    assert_eq!(reason(other.list_record_types(request).await), Reason::PageTokenInvalid);
    let name = "recordTypes/a".to_owned();
    let answer = other.get_record_type(wire::GetRecordTypeRequest { name }).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
}

/// The one who changes a type sees it at once, and other replicas after a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_by_all_replicas() {
    let world = World::new().await;
    let here = world.caller();
    let twin = world.twin().await;
    let there = world.caller_at(&twin, world.tenant, &["*"]);
    let subject = here.subject().await;
    let make = |content: &[u8]| create(&subject, "application/json", content);
    for caller in [&here, &there] {
        caller.create_record(make(b"{}")).await.unwrap();
    }
    here.declare("kyc-file", json_type(SCHEMA, Vec::new())).await;
    assert_eq!(reason(here.create_record(make(b"{}")).await), Reason::FieldInvalid);
    let refused = async {
        while there.create_record(make(b"{}")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    let record = here.create_record(make(b"{\"name\": \"Jane\"}")).await.unwrap().into_inner();
    let masked = here.read(&record.name, View::Masked).await.unwrap().into_inner();
    assert_eq!(&masked.content[..], br#"{"name":"***"}"#);
}
