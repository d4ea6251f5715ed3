//! Records are listed by id, along whatever their filter says.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;

use crate::world::{Caller, World, create, reason};

async fn make(caller: &Caller, subject: &str, kind: &str, branch: &str, seconds: i64) -> String {
    let mut request = create(subject, "text/plain", b"secret");
    let record = request.record.as_mut().unwrap();
    kind.clone_into(&mut record.r#type);
    record.labels.insert("branch".to_owned(), branch.to_owned());
    record.labels.insert("app".to_owned(), "kyc".to_owned());
    record.event_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    caller.create_record(request).await.unwrap().into_inner().name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_lets_through_what_it_says() {
    let world = World::new().await;
    let caller = world.caller();
    let (jane, john) = (caller.subject().await, caller.subject().await);
    let mut all = Vec::new();
    for (subject, kind, branch) in [
        (&jane, "kyc-file", "north"),
        (&jane, "kyc-file", "south"),
        (&jane, "contract", "north"),
        (&john, "kyc-file", "north"),
        (&john, "contract", "south"),
    ] {
        let seconds = i64::try_from(all.len()).unwrap() * 100;
        all.push(make(&caller, subject, kind, branch, seconds).await);
    }
    caller
        .delete_record(wire::DeleteRecordRequest { name: all[4].clone(), ..Default::default() })
        .await
        .unwrap();
    for (filter, expected) in [
        (String::new(), vec![0, 1, 2, 3]),
        (format!("subject = \"{jane}\""), vec![0, 1, 2]),
        (format!("subject = \"{jane}\" AND type = \"kyc-file\""), vec![0, 1]),
        ("type = \"kyc-file\"".to_owned(), vec![0, 1, 3]),
        ("type = \"contract\"".to_owned(), vec![2]),
        ("labels.branch = north".to_owned(), vec![0, 2, 3]),
        (format!("labels.branch = south AND subject = \"{jane}\""), vec![1]),
        ("labels.branch = north AND labels.app = kyc AND type = contract".to_owned(), vec![2]),
        ("labels.branch = north AND labels.app = other".to_owned(), vec![]),
        ("state = DELETED".to_owned(), vec![4]),
        ("state = STATE_PURGED".to_owned(), vec![]),
        (
            "event_time >= \"1970-01-01T00:01:40Z\" AND event_time < \"1970-01-01T00:05:00Z\""
                .to_owned(),
            vec![1, 2],
        ),
        ("create_time < \"1970-01-01T00:01:40Z\"".to_owned(), vec![]),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(|at: usize| all[at].clone()).collect();
        expected.sort();
        for page_size in [1, 2, 50] {
            assert_eq!(caller.listed(&filter, page_size).await, expected, "{filter} {page_size}");
        }
    }
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    assert!(stranger.listed("", 50).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_filter_or_a_token_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    for _ in 0..3 {
        make(&caller, &subject, "kyc-file", "north", 1).await;
    }
    for filter in [
        "subject = jane",
        "type = \"KYC\"",
        "state = GONE",
        "labels = x",
        "content = x",
        "labels.a = x AND labels.a = y",
        "create_time = \"2026-01-01T00:00:00Z\"",
        "type = a OR type = b",
    ] {
        let request = wire::ListRecordsRequest { filter: filter.to_owned(), ..Default::default() };
        let (reason, field, _) = refusal(&caller.list_records(request).await.unwrap_err());
        assert_eq!((reason, field.as_str()), (Reason::FilterInvalid, "filter"), "{filter}");
    }
    let mut request = wire::ListRecordsRequest { page_size: 1, ..Default::default() };
    request.page_token =
        caller.list_records(request.clone()).await.unwrap().into_inner().next_page_token;
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    assert_eq!(reason(stranger.list_records(request.clone()).await), Reason::PageTokenInvalid);
    request.filter = "type = contract".to_owned();
    assert_eq!(reason(caller.list_records(request).await), Reason::PageTokenInvalid);
    let unknown = "records/0197a5c2-0000-7000-8000-000000000000".to_owned();
    let request = wire::ListRecordVersionsRequest { parent: unknown, ..Default::default() };
    assert_eq!(reason(caller.list_record_versions(request).await), Reason::ResourceNotFound);
}

/// What is rare is found along its own index, among more records than a page examines.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_found_among_many() {
    let world = World::new().await;
    let caller = world.caller();
    let (subject, other) = (caller.subject().await, caller.subject().await);
    let rare = make(&caller, &other, "rare", "nowhere", 1).await;
    let common = make(&caller, &subject, "common", "north", 1).await;
    let (tenant, id) = (world.tenant.uuid(), crate::world::id_of(&common));
    let fill = format!(
        "SET strongroom.tenant = '{tenant}';
         CREATE TEMP TABLE ids AS SELECT gen_random_uuid() AS id FROM generate_series(1, 4000);
         INSERT INTO records SELECT (jsonb_populate_record(r, jsonb_build_object('id', i.id))).*
             FROM records r, ids i WHERE r.id = '{id}';
         INSERT INTO record_versions
             SELECT (jsonb_populate_record(v, jsonb_build_object('record_id', i.id))).*
             FROM record_versions v, ids i WHERE v.record_id = '{id}';
         INSERT INTO record_labels SELECT l.tenant_id, i.id, l.key, l.value
             FROM record_labels l, ids i WHERE l.record_id = '{id}';"
    );
    world.database.owner().batch_execute(&fill).unwrap();
    for filter in [
        format!("subject = \"{other}\""),
        "type = rare".to_owned(),
        "labels.branch = nowhere".to_owned(),
    ] {
        let request = wire::ListRecordsRequest { filter, ..Default::default() };
        let page = caller.list_records(request).await.unwrap().into_inner();
        let names: Vec<_> = page.records.iter().map(|record| &record.name).collect();
        assert_eq!((names, page.next_page_token.as_str()), (vec![&rare], ""));
    }
    // What no index serves takes several pages, some of them short.
    let filter = "event_time < \"1970-01-01T00:00:01Z\"";
    assert!(caller.listed(filter, 1_000).await.is_empty());
    let all = caller.listed("", 1_000).await;
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4_002);
    assert!(all.is_sorted());
}
