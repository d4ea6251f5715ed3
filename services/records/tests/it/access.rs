//! Nothing leaves before it is logged, and what is refused is logged too.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1::RecordView as View;

use crate::world::{World, get, id_of, reason};

const SECRET: &[u8] = br#"{"diagnosis": "J45"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_entry() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "application/json", SECRET).await;
    caller.get_record(get(&record.name, View::Basic, "")).await.unwrap();
    caller.get_record(get(&record.name, View::Masked, "TREAT")).await.unwrap();
    caller.get_record(get(&record.name, View::Full, "HPAYMT")).await.unwrap();

    let log = world.accesses();
    let seen: Vec<_> =
        log.iter().map(|e| (e.action.as_str(), e.view, e.purpose.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("records.subjects.create", None, None),
            ("records.records.create", None, None),
            ("records.records.get", Some(1), None),
            ("records.records.get", Some(2), Some("TREAT")),
            ("records.records.get", Some(3), Some("HPAYMT")),
        ]
    );
    for entry in &log {
        assert_eq!((entry.decision, entry.reason.as_deref()), (1, None));
        assert_eq!(entry.subject.as_deref(), Some(id_of(&subject)));
        assert!(entry.principal.starts_with("test:") && entry.trace_id.len() == 32);
    }
    assert!(log[1..].iter().all(|entry| entry.record.as_deref() == Some(id_of(&record.name))));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_logged() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "application/json", SECRET).await;
    let clerk = world.caller_in(world.tenant, &["records.records.get", "records.purposes.TREAT"]);
    let unknown = "records/0197a5c2-0000-7000-8000-000000000000";
    for (name, view, purpose, expected) in [
        (record.name.as_str(), View::Masked, "", Reason::PurposeRequired),
        (&record.name, View::Full, "CURIOSITY", Reason::PermissionMissing),
        (&record.name, View::Masked, "CURIOSITY", Reason::PurposeUnknown),
        (&record.name, View::Full, "TREAT", Reason::PermissionMissing),
        (unknown, View::Masked, "TREAT", Reason::ResourceNotFound),
    ] {
        let status = clerk.get_record(get(name, view, purpose)).await.unwrap_err();
        let (reason, _, figures) = refusal(&status);
        assert_eq!(reason, expected);
        let entry = world.accesses().pop().unwrap();
        let name = expected.as_str_name().trim_start_matches("ERROR_REASON_");
        assert_eq!((entry.decision, entry.reason.as_deref()), (2, Some(name)));
        assert_eq!(entry.trace_id, figures["trace_id"]);
        assert_eq!(entry.subject.is_some(), expected != Reason::ResourceNotFound);
    }
    assert!(clerk.get_record(get(&record.name, View::Masked, "TREAT")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_log_nothing_leaves() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "application/json", SECRET).await;
    world.owner_sql("REVOKE INSERT ON accesses FROM strongroom_records");
    for view in [View::Basic, View::Masked, View::Full] {
        assert_eq!(reason(caller.read(&record.name, view).await), Reason::Internal);
    }
    let request = crate::world::create(&subject, "text/plain", b"more");
    assert_eq!(reason(caller.create_record(request).await), Reason::Internal);
    assert_eq!(world.count("records"), 1);
    world.owner_sql("GRANT INSERT ON accesses TO strongroom_records");
    assert_eq!(caller.content(&record.name).await.unwrap(), SECRET);
}
