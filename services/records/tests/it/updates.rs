//! Records are changed: their labels and times, and their content as the next version.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::callers::records::{field, json_type, update};
use crate::world::{World, get, is_replayed, reason};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A record with a name and nothing else.
fn named(name: &str) -> wire::Record {
    wire::Record { name: name.to_owned(), ..wire::Record::default() }
}

fn content(name: &str, content: &[u8]) -> wire::Record {
    wire::Record { content: content.to_vec().into(), ..named(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_content_is_the_next_version() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let first = caller.record(&subject, "text/plain", b"one").await;
    let mut request = update(content(&first.name, b"three"), &[]);
    request.record.as_mut().unwrap().content_type = "text/html".to_owned();
    let second = caller.update_record(request).await.unwrap().into_inner();
    assert_eq!((second.version, second.size_bytes), (2, 5));
    assert_eq!(second.content_type, "text/html");
    assert!(second.etag != first.etag && second.content.is_empty());
    assert_eq!((second.create_time, &second.labels), (first.create_time, &first.labels));
    assert_eq!(caller.content(&first.name).await.unwrap(), b"three");
    let old = wire::GetRecordRequest { version: 1, ..get(&first.name, View::Full, "KYC") };
    let old = caller.get_record(old).await.unwrap().into_inner();
    assert_eq!((&old.content[..], old.content_type.as_str()), (&b"one"[..], "text/plain"));

    let list = |page_token: String| wire::ListRecordVersionsRequest {
        parent: first.name.clone(),
        page_size: 1,
        page_token,
    };
    let page = caller.list_record_versions(list(String::new())).await.unwrap().into_inner();
    let rest = caller.list_record_versions(list(page.next_page_token)).await.unwrap().into_inner();
    assert!(rest.next_page_token.is_empty());
    let versions: Vec<_> = page.versions.into_iter().chain(rest.versions).collect();
    assert_eq!(versions[0].name, format!("{}/versions/2", first.name));
    assert_eq!(versions[1].create_time, first.create_time);
    assert_eq!((versions[1].version, versions[1].size_bytes), (1, 3));

    let log = world.accesses();
    assert!(log.iter().any(|entry| entry.action == "records.records.update"));
    assert_eq!(
        world.count("changes WHERE kind = 'record.updated' AND data[1] NOT LIKE '%three%'"),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_decides_what_changes() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"one").await.name;
    let time = Timestamp { seconds: 7, nanos: 0 };
    let both = wire::Record {
        labels: labels(&[("branch", "north"), ("case", "7")]),
        event_time: Some(time),
        ..named(&name)
    };
    // Without a mask, what is populated.
    let changed = caller.update_record(update(both.clone(), &[])).await.unwrap().into_inner();
    assert_eq!(
        (&changed.labels, changed.event_time, changed.version),
        (&both.labels, Some(time), 1)
    );
    // What the mask names, even if that empties it.
    let changed = update(named(&name), &["labels"]);
    let changed = caller.update_record(changed).await.unwrap().into_inner();
    assert_eq!((changed.labels.len(), changed.event_time), (0, Some(time)));
    let changed = update(both.clone(), &["event_time"]);
    let changed = caller.update_record(changed).await.unwrap().into_inner();
    assert_eq!((changed.labels.len(), changed.version), (0, 1));
    // What was read is sent back with a change.
    let mut whole = changed.clone();
    whole.labels = labels(&[("branch", "south")]);
    let changed = caller.update_record(update(whole, &[])).await.unwrap().into_inner();
    assert_eq!(changed.labels, labels(&[("branch", "south")]));
    assert_eq!(world.count("record_labels"), 1);

    let other = wire::Record { subject: caller.subject().await, ..both.clone() };
    let kind = wire::Record { r#type: "other".to_owned(), ..both.clone() };
    let media = wire::Record { content_type: "text/html".to_owned(), ..both.clone() };
    for (record, paths, place) in [
        (named(&name), &[][..], "update_mask"),
        (both.clone(), &["subject"][..], "update_mask"),
        (both.clone(), &["content_type"][..], "update_mask"),
        (both.clone(), &["content"][..], "record.content"),
        (other, &["labels"][..], "record.subject"),
        (kind, &["labels"][..], "record.type"),
        (media, &["labels"][..], "record.content_type"),
        (content(&name, &vec![0; (1 << 20) + 1]), &[][..], "record.content"),
        (named("records/1"), &["labels"][..], "record.name"),
    ] {
        let status = caller.update_record(update(record.clone(), paths)).await.unwrap_err();
        assert_eq!(refusal(&status).1, place, "{record:?}");
    }
    let unknown = named("records/0197a5c2-0000-7000-8000-000000000000");
    let answer = caller.update_record(update(unknown, &["labels"])).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_happens_once_and_to_what_was_read() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let first = caller.record(&subject, "text/plain", b"one").await;
    let mut request = update(content(&first.name, b"two"), &[]);
    request.request_id = "once".to_owned();
    request.record.as_mut().unwrap().etag.clone_from(&first.etag);
    request.validate_only = true;
    let checked = caller.update_record(request.clone()).await.unwrap().into_inner();
    assert_eq!((checked.version, world.count("record_versions")), (2, 1));
    request.validate_only = false;
    let made = caller.update_record(request.clone()).await.unwrap().into_inner();
    caller.update_record(update(content(&first.name, b"third"), &[])).await.unwrap();
    // The repeat gets the version that it made, whatever came after it.
    let again = caller.update_record(request.clone()).await.unwrap();
    assert!(is_replayed(&again));
    assert_eq!((again.get_ref().version, again.get_ref().size_bytes), (2, 3));
    assert_eq!(made.version, 2);
    let mut other = request.clone();
    other.record.as_mut().unwrap().content = b"owt".to_vec().into();
    assert_eq!(reason(caller.update_record(other).await), Reason::RequestIdReused);

    request.request_id = "twice".to_owned();
    let (reason, _, figures) = refusal(&caller.update_record(request).await.unwrap_err());
    assert_eq!((reason, figures["etag"].as_str()), (Reason::EtagMismatch, "\"3\""));
    assert_eq!(world.count("record_versions"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_at_once_are_versions_without_gaps() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"0").await.name;
    let mut calls = tokio::task::JoinSet::new();
    for text in ["1", "2", "3"] {
        let (caller, request) = (world.caller(), update(content(&name, text.as_bytes()), &[]));
        calls.spawn(async move { caller.update_record(request).await.unwrap().into_inner() });
    }
    let mut versions: Vec<_> = calls.join_all().await.iter().map(|one| one.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_breaks_its_schema_is_told_by_place() {
    const VALUE: &str = "jane.doe@example.com";
    let world = World::new().await;
    let caller = world.caller();
    let schema = r#"{"type": "object", "required": ["name"], "properties": {"name": {"type":
        "string"}, "mail": {"maxLength": 3}}, "additionalProperties": {"type": "integer"}}"#;
    caller.declare("kyc-file", json_type(schema, vec![field("/mail", None)])).await;
    let subject = caller.subject().await;
    let json = |text: String| crate::world::create(&subject, "application/json", text.as_bytes());
    let record = caller.create_record(json("{\"name\": \"x\"}".to_owned())).await.unwrap();
    let name = record.into_inner().name;
    for (text, place) in [
        (format!("{{\"name\": \"x\", \"mail\": \"{VALUE}\"}}"), "record.content/mail"),
        (format!("{{\"name\": \"x\", \"{VALUE}\": \"{VALUE}\"}}"), "record.content/*"),
        (format!("{{\"mail\": \"a\", \"x\": 1, \"name\": [\"{VALUE}\"]}}"), "record.content/name"),
        ("{}".to_owned(), "record.content/name"),
        (format!("{{\"name\": \"{VALUE}\""), "record.content"),
        (format!("{{\"name\": \"{VALUE}\", \"name\": \"{VALUE}\"}}"), "record.content"),
    ] {
        let status = caller.create_record(json(text.clone())).await.unwrap_err();
        let (reason, found, _) = refusal(&status);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, place), "{text}");
        let told = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(!told.contains("jane"), "{told}");
        let status = caller.update_record(update(content(&name, text.as_bytes()), &[])).await;
        assert_eq!(refusal(&status.unwrap_err()).1, place, "{text}");
    }
    let mut lie = json("{\"name\": \"x\"}".to_owned());
    lie.record.as_mut().unwrap().content_type = "text/plain".to_owned();
    let status = caller.create_record(lie).await.unwrap_err();
    assert_eq!(refusal(&status).1, "record.content_type");
    assert_eq!(world.count("record_versions"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_changed_is_not() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"one").await.name;
    for (state, expected) in [(2, Reason::SubjectRestricted), (3, Reason::SubjectErased)] {
        world.owner_sql(&format!("UPDATE subjects SET state = {state}"));
        for record in
            [content(&name, b"two"), wire::Record { labels: labels(&[("a", "b")]), ..named(&name) }]
        {
            assert_eq!(reason(caller.update_record(update(record, &[])).await), expected);
        }
    }
    world.owner_sql("UPDATE subjects SET state = 1");
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    let answer = stranger.update_record(update(content(&name, b"two"), &[])).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
    assert_eq!(world.count("record_versions"), 1);
}
