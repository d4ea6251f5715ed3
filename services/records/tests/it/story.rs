//! What the service is for.

use diesel::prelude::*;
use diesel::sql_types::Text;
use prost_types::Timestamp;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{World, create, id_of};

const PROFILE: &[u8] = br#"{"name": "Jane Doe", "born": 1984, "address": {"city": null}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_sealed_and_read_in_three_views() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "Application/JSON", PROFILE);
    let event_time = Some(Timestamp { seconds: 1_795_338_000, nanos: 123_456_000 });
    let record = request.record.as_mut().unwrap();
    record.event_time = event_time;
    record.labels.insert("case".to_owned(), "4711".to_owned());

    let made = caller.create_record(request).await.unwrap().into_inner();
    assert!(made.name.starts_with("records/"));
    assert_eq!((made.subject.as_str(), made.r#type.as_str()), (subject.as_str(), "kyc-file"));
    assert_eq!((made.version, made.size_bytes), (1, i64::try_from(PROFILE.len()).unwrap()));
    assert_eq!(made.content_type, "application/json");
    assert!(made.content.is_empty() && made.view() == View::Basic);
    assert!(made.create_time.is_some() && made.create_time == made.update_time);
    assert_eq!(made.etag, "\"1\"");

    let basic = caller.read(&made.name, View::Basic).await.unwrap().into_inner();
    assert_eq!(basic, made);
    assert_eq!((basic.event_time, basic.labels["case"].as_str()), (event_time, "4711"));

    let masked = caller.read(&made.name, View::Unspecified).await.unwrap().into_inner();
    assert_eq!(masked.view(), View::Masked);
    assert_eq!(&masked.content[..], br#"{"name":"***","born":"***","address":{"city":"***"}}"#);

    let full = caller.read(&made.name, View::Full).await.unwrap().into_inner();
    assert_eq!((full.view(), &full.content[..]), (View::Full, PROFILE));
    assert_eq!(wire::Record { content: made.content.clone(), view: made.view, ..full }, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_no_json_is_not_shown_masked() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let made = caller.record(&subject, "application/pdf", b"%PDF-1.7").await;
    let masked = caller.read(&made.name, View::Masked).await.unwrap().into_inner();
    assert!(masked.content.is_empty());
    assert_eq!((masked.view(), masked.size_bytes), (View::Masked, 8));
    assert_eq!(caller.content(&made.name).await.unwrap(), b"%PDF-1.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_of_every_size_come_back() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    for size in [1, 16_383, 16_384, 16_385, 65_536, 65_537, 1 << 20] {
        let content: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[0]).collect();
        let made = caller.record(&subject, "image/png", &content).await;
        assert!(caller.content(&made.name).await.unwrap() == content, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_holds_plaintext() {
    const MARKER: &str = "Xanthippe-4711-Marker";
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let json = format!(r#"{{"{MARKER}": "{MARKER}"}}"#);
    let long = MARKER.repeat(2_000);
    for (request_id, kind, content) in
        [("a", "application/json", json.as_str()), ("b", "text/plain", &long)]
    {
        let mut request = create(&subject, kind, content.as_bytes());
        request.request_id = request_id.to_owned();
        let made = caller.create_record(request.clone()).await.unwrap().into_inner();
        caller.create_record(request).await.unwrap();
        caller.content(&made.name).await.unwrap();
        caller.read(&made.name, View::Masked).await.unwrap();
    }
    let dump = dump(&world);
    let contains = |text: &str| dump.iter().any(|row| row.contains(text));
    assert!(contains(id_of(&subject)) && contains("create-record"), "the dump is one");
    assert!(!contains(MARKER));
    assert!(!contains(&hex(MARKER)));
    assert!(!contains(&hex(&MARKER[..8])));
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// Every row of every table, as text: bytes are in hexadecimal digits.
fn dump(world: &World) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let mut admin = world.database.admin();
    let mut load = |sql: &str| -> Vec<String> {
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut admin).unwrap();
        rows.into_iter().map(|row| row.text).collect()
    };
    let tables = load(
        "SELECT quote_ident(tablename) AS text FROM pg_tables WHERE schemaname = current_schema()",
    );
    assert!(tables.len() >= 9, "{tables:?}");
    tables
        .iter()
        .flat_map(|table| load(&format!("SELECT t::text AS text FROM {table} AS t")))
        .collect()
}
