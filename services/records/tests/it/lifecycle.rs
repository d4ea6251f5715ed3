//! Records are deleted, brought back and purged.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;
use wire::record::State;

use crate::callers::records::{field, index, json_type, update};
use crate::world::{Caller, World, create, id_of, is_replayed, reason};

fn delete(name: &str) -> wire::DeleteRecordRequest {
    wire::DeleteRecordRequest { name: name.to_owned(), ..Default::default() }
}

fn undelete(name: &str) -> wire::UndeleteRecordRequest {
    wire::UndeleteRecordRequest { name: name.to_owned(), ..Default::default() }
}

fn purge(name: &str) -> wire::PurgeRecordRequest {
    wire::PurgeRecordRequest { name: name.to_owned(), ..Default::default() }
}

async fn basic(caller: &Caller, name: &str) -> wire::Record {
    caller.read(name, View::Basic).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_comes_back_as_it_was() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    let mut request = delete(&record.name);
    (request.request_id, request.validate_only) = ("once".to_owned(), true);
    assert_eq!(
        caller.delete_record(request.clone()).await.unwrap().get_ref().state(),
        State::Deleted
    );
    assert_eq!(basic(&caller, &record.name).await, record);
    (request.etag, request.validate_only) = (record.etag.clone(), false);
    let deleted = caller.delete_record(request.clone()).await.unwrap().into_inner();
    assert_eq!(deleted.state(), State::Deleted);
    assert!(deleted.delete_time.is_some() && deleted.etag != record.etag);
    assert!(is_replayed(&caller.delete_record(request.clone()).await.unwrap()));

    for view in [View::Masked, View::Full] {
        let status = caller.read(&record.name, view).await.unwrap_err();
        let (reason, _, figures) = refusal(&status);
        assert_eq!((reason, figures["state"].as_str()), (Reason::InvalidTransition, "DELETED"));
    }
    let change = wire::Record { content: b"new".to_vec().into(), ..record.clone() };
    let change = wire::Record { etag: String::new(), ..change };
    let answer = caller.update_record(update(change, &[])).await;
    assert_eq!(reason(answer), Reason::InvalidTransition);
    request.request_id.clear();
    assert_eq!(reason(caller.delete_record(request).await), Reason::EtagMismatch);
    assert_eq!(reason(caller.delete_record(delete(&record.name)).await), Reason::InvalidTransition);

    let back = caller.undelete_record(undelete(&record.name)).await.unwrap().into_inner();
    let expected = wire::Record { etag: back.etag.clone(), ..record.clone() };
    assert_eq!(back, expected);
    assert_eq!(caller.content(&record.name).await.unwrap(), b"secret");
    assert_eq!(
        reason(caller.undelete_record(undelete(&record.name)).await),
        Reason::InvalidTransition
    );
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    assert_eq!(
        reason(stranger.delete_record(delete(&record.name)).await),
        Reason::ResourceNotFound
    );
    for kind in ["record.deleted", "record.undeleted"] {
        assert_eq!(world.count(&format!("changes WHERE kind = '{kind}'")), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_destroyed() {
    let world = World::new().await;
    let caller = world.caller();
    let by = wire::field_index::Normalisation::Exact;
    caller.declare("kyc-file", json_type("", vec![field("/name", index("name", 0, by))])).await;
    let subject = caller.subject().await;
    let mut request = create(&subject, "application/json", b"{\"name\": \"Jane\"}");
    request.record.as_mut().unwrap().labels.insert("branch".to_owned(), "north".to_owned());
    let record = caller.create_record(request).await.unwrap().into_inner();
    let next = wire::Record {
        name: record.name.clone(),
        content: b"{\"name\": \"Joan\"}".to_vec().into(),
        ..Default::default()
    };
    caller.update_record(update(next, &[])).await.unwrap();
    assert_eq!((world.count("record_index"), world.count("record_labels")), (1, 1));
    assert_eq!(reason(caller.purge_record(purge(&record.name)).await), Reason::InvalidTransition);
    caller.delete_record(delete(&record.name)).await.unwrap();
    // As if the last version were a large one.
    world.owner_sql("UPDATE record_versions SET segments = 2 WHERE version = 2");

    let mut request = purge(&record.name);
    request.request_id = "once".to_owned();
    let purged = caller.purge_record(request.clone()).await.unwrap().into_inner();
    assert_eq!((purged.state(), purged.version), (State::Purged, 2));
    assert!(purged.purge_time.is_some() && purged.labels.is_empty());
    assert!(is_replayed(&caller.purge_record(request).await.unwrap()));
    assert_eq!(basic(&caller, &record.name).await, purged);
    let left = "record_versions WHERE body IS NOT NULL OR data_key IS NOT NULL \
                OR commitment_salt IS NOT NULL OR segments IS NOT NULL";
    assert_eq!((world.count(left), world.count("record_versions")), (0, 2));
    assert_eq!((world.count("record_index"), world.count("record_labels")), (0, 0));
    let path = format!("bodies/{}/{}", world.tenant.uuid(), id_of(&record.name));
    assert_eq!(world.count(&format!("object_deletes WHERE path = '{path}'")), 1);
    assert_eq!(caller.content(&record.name).await, Err(Reason::InvalidTransition));
    assert_eq!(
        reason(caller.undelete_record(undelete(&record.name)).await),
        Reason::InvalidTransition
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_and_interests_forbid_to_end_a_record() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let (one, other) = (
        caller.record(&subject, "text/plain", b"one").await.name,
        caller.record(&subject, "text/plain", b"other").await.name,
    );
    let (tenant, subject) = (world.tenant.uuid(), id_of(&subject));
    caller.delete_record(delete(&other)).await.unwrap();
    let hold = |record: &str| {
        world.owner_sql(&format!(
            "INSERT INTO legal_holds (tenant_id, id, subject_id, record_id, authority, \
                 case_reference, state, placer, revision, create_time) \
             VALUES ('{tenant}', gen_random_uuid(), '{subject}', {record}, 'court', '1', 1, \
                     'a', 1, now())"
        ));
    };
    hold(&format!("'{}'", id_of(&one)));
    assert_eq!(reason(caller.delete_record(delete(&one)).await), Reason::LegalHold);
    caller.undelete_record(undelete(&other)).await.unwrap();
    caller.delete_record(delete(&other)).await.unwrap();
    hold("NULL");
    assert_eq!(reason(caller.purge_record(purge(&other)).await), Reason::LegalHold);
    world.owner_sql("UPDATE legal_holds SET state = 3, release_requester = 'a', releaser = 'b'");
    world.owner_sql(&format!(
        "INSERT INTO retention_interests (tenant_id, id, subject_id, source, reference, \
                                          create_time, update_time) \
         VALUES ('{tenant}', gen_random_uuid(), '{subject}', 'accounts', 'accounts/1', now(), \
                 now())"
    ));
    assert_eq!(reason(caller.purge_record(purge(&other)).await), Reason::Retention);
    caller.delete_record(delete(&one)).await.unwrap();
    world.owner_sql("UPDATE retention_interests SET end_time = now()");
    caller.purge_record(purge(&other)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_states_of_the_subject_count() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"one").await.name;
    world.owner_sql("UPDATE subjects SET state = 2");
    caller.delete_record(delete(&name)).await.unwrap();
    caller.undelete_record(undelete(&name)).await.unwrap();
    caller.delete_record(delete(&name)).await.unwrap();
    world.owner_sql("UPDATE subjects SET state = 3; DELETE FROM subject_keys");
    assert_eq!(reason(caller.undelete_record(undelete(&name)).await), Reason::SubjectErased);
    caller.purge_record(purge(&name)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_ends_as_the_type_says() {
    let world = World::new().await;
    let caller = world.caller();
    let start = wire::retention::Start::EventTime.into();
    let mut kind = json_type("", Vec::new());
    kind.retention = Some(wire::Retention { days: 2, start });
    caller.declare("kyc-file", kind).await;
    let subject = caller.subject().await;
    let mut request = create(&subject, "application/json", b"{}");
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    request.record.as_mut().unwrap().event_time = at(1_000);
    let record = caller.create_record(request).await.unwrap().into_inner();
    assert_eq!(record.expire_time, at(1_000 + 2 * 86_400));
    let later = wire::Record { event_time: at(5_000), name: record.name, ..Default::default() };
    let record = caller.update_record(update(later, &[])).await.unwrap().into_inner();
    assert_eq!(record.expire_time, at(5_000 + 2 * 86_400));
    assert_eq!(basic(&caller, &record.name).await.expire_time, record.expire_time);
}
