//! A write happens once.

use std::collections::BTreeSet;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{World, create, id_of, is_replayed, reason};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_at_once_makes_one_record() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    request.request_id = "once".to_owned();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (caller, request) = (world.caller(), request.clone());
        calls.spawn(async move { caller.create_record(request).await.unwrap() });
    }
    let answers = calls.join_all().await;
    let names: BTreeSet<_> = answers.iter().map(|answer| &answer.get_ref().name).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert_eq!((world.count("records"), world.count("record_versions")), (1, 1));
    assert_eq!(answers[0].get_ref(), answers[15].get_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_the_same_id_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    request.request_id = "once".to_owned();
    caller.create_record(request.clone()).await.unwrap();

    let mut content = request.clone();
    content.record.as_mut().unwrap().content = b"Secret".to_vec().into();
    let mut kind = request.clone();
    kind.record.as_mut().unwrap().r#type = "other".to_owned();
    let mut id = request.clone();
    id.record_id = "0197a5c2-0000-7000-8000-000000000000".to_owned();
    for other in [content, kind, id] {
        let (reason, _, figures) = refusal(&caller.create_record(other).await.unwrap_err());
        assert_eq!(reason, Reason::RequestIdReused);
        assert_eq!(figures["operation"], "create-record");
    }
    assert!(is_replayed(&caller.create_record(request).await.unwrap()));
    assert_eq!(world.count("records"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_is_taken_once() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    request.record_id = "0197a5c2-0000-7000-8000-000000000000".to_owned();
    let made = caller.create_record(request.clone()).await.unwrap().into_inner();
    assert_eq!(id_of(&made.name), request.record_id);
    for validate_only in [true, false] {
        request.validate_only = validate_only;
        request.request_id = "another".to_owned();
        let status = caller.create_record(request.clone()).await.unwrap_err();
        let (reason, _, figures) = refusal(&status);
        assert_eq!((reason, &figures["name"]), (Reason::IdTaken, &made.name));
    }
    assert_eq!(world.count("outcomes"), 0, "the request id stays free");
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_changes_nothing() {
    let world = World::new().await;
    let caller = world.caller();
    let request = wire::CreateSubjectRequest { validate_only: true, ..Default::default() };
    caller.create_subject(request).await.unwrap();
    assert_eq!((world.count("subjects"), world.count("tenant_keys")), (0, 0));

    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    (request.validate_only, request.request_id) = (true, "checked".to_owned());
    let checked = caller.create_record(request.clone()).await.unwrap().into_inner();
    assert_eq!((checked.version, checked.size_bytes), (1, 6));
    assert_eq!((world.count("records"), world.count("outcomes")), (0, 0));
    assert_eq!(reason(caller.read(&checked.name, View::Basic).await), Reason::ResourceNotFound);
    request.validate_only = false;
    assert!(!is_replayed(&caller.create_record(request).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_made_once_by_request_id_and_by_id() {
    let world = World::new().await;
    let caller = world.caller();
    let by_request =
        wire::CreateSubjectRequest { request_id: "once".to_owned(), ..Default::default() };
    let first = caller.create_subject(by_request.clone()).await.unwrap();
    let second = caller.create_subject(by_request).await.unwrap();
    assert!(!is_replayed(&first) && is_replayed(&second));
    assert_eq!(first.get_ref(), second.get_ref());
    assert_eq!(first.get_ref().state(), wire::subject::State::Active);

    let subject_id = "0197a5c2-0000-7000-8000-000000000000".to_owned();
    let by_id = wire::CreateSubjectRequest { subject_id, ..Default::default() };
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..16 {
        let (caller, mut request) = (world.caller(), by_id.clone());
        request.request_id = if index % 2 == 0 { String::new() } else { format!("r{index}") };
        calls.spawn(async move { caller.create_subject(request).await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert!(answers.iter().all(|answer| answer.get_ref() == answers[0].get_ref()));
    assert_eq!((world.count("subjects"), world.count("subject_keys")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_one_key_however_many_come_first() {
    let world = World::new().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let caller = world.caller();
        calls.spawn(async move {
            let subject = caller.subject().await;
            let record = caller.record(&subject, "text/plain", b"secret").await;
            caller.content(&record.name).await.unwrap()
        });
    }
    assert!(calls.join_all().await.iter().all(|content| content == b"secret"));
    assert_eq!((world.count("tenant_keys"), world.count("subject_keys")), (1, 16));
}
