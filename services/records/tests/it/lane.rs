//! Many callers' records in one commit: each gets an answer of its own, and none a part of another.

use std::time::Duration;

use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use tokio::task::JoinSet;

use crate::world::{Answer, Caller, World, create, id_of, is_replayed, reason};

const CALLERS: usize = 24;

fn request(subject: &str, request_id: &str, content: &[u8]) -> wire::CreateRecordRequest {
    let mut request = create(subject, "text/plain", content);
    request_id.clone_into(&mut request.request_id);
    request
}

/// Everybody asks at once, each over a connection of its own, half of them at another replica.
async fn all_at_once(
    world: &World,
    ask: impl Fn(usize) -> wire::CreateRecordRequest,
) -> Vec<Answer<wire::Record>> {
    let replica = world.twin().await;
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let server = if index.is_multiple_of(2) { &world.running } else { &replica };
        let (caller, request) = (world.caller_at(server, world.tenant, &["*"]), ask(index));
        callers.spawn(async move { caller.create_record(request).await });
    }
    callers.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_from_everywhere_at_once_makes_one_record() {
    let world = World::new().await;
    let subject = world.caller().subject().await;
    let answers = all_at_once(&world, |_| request(&subject, "once", b"the same")).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert!(answers.iter().all(|answer| answer.get_ref() == answers[0].get_ref()));
    assert_eq!((world.count("records"), world.count("outcomes")), (1, 1));
    assert_eq!(world.count("accesses WHERE action = 'records.records.create'"), 1);
    assert_eq!(world.count("changes WHERE kind = 'record.created'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_id_one_is_done() {
    let world = World::new().await;
    let subject = world.caller().subject().await;
    // Of one size, so that only the commitment tells them apart.
    let ask = |index: usize| request(&subject, "once", format!("{index:02}").as_bytes());
    let answers = all_at_once(&world, ask).await;
    let done: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(done.len(), 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(answer), Reason::RequestIdReused);
    }
    assert_eq!(world.count("records"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_many_want_at_once_is_given_once() {
    let world = World::new().await;
    let subject = world.caller().subject().await;
    let id = uuid::Uuid::now_v7().to_string();
    let ask = |index: usize| {
        let mut request = request(&subject, &format!("mine-{index}"), b"x");
        request.record_id.clone_from(&id);
        request
    };
    let answers = all_at_once(&world, ask).await;
    assert_eq!(answers.iter().flatten().count(), 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(answer), Reason::IdTaken);
    }
    // A refusal that depends on others leaves its request id free.
    assert_eq!((world.count("records"), world.count("outcomes")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_left_is_there_as_a_whole_or_not_at_all() {
    let world = World::new().await;
    let replica = world.twin().await;
    let subject = world.caller().subject().await;
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let server = if index.is_multiple_of(2) { &world.running } else { &replica };
        let caller = world.caller_at(server, world.tenant, &["*"]);
        callers.spawn(leave(caller, subject.clone(), index));
    }
    callers.join_all().await;
    // What may still have waited at either replica has been done once these are through.
    for server in [&world.running, &replica] {
        let caller = world.caller_at(server, world.tenant, &["*"]);
        caller.create_record(request(&subject, &server.address.to_string(), b"x")).await.unwrap();
    }
    let records = world.count("records");
    assert_eq!(world.count("outcomes WHERE state = 3"), records);
    assert_eq!(world.count("accesses WHERE action = 'records.records.create'"), records);
    let whole = "records r JOIN record_versions v ON v.record_id = r.id AND v.version = 1 \
                 JOIN outcomes o ON o.resource = 'records/' || r.id";
    assert_eq!(world.count(whole), records);
    let events = "changes c, unnest(c.names) AS name WHERE c.kind = 'record.created'";
    assert_eq!(world.count(events), records);
}

/// Asks, and goes away after a while: at once, in the middle, or when it is done already.
async fn leave(caller: Caller, subject: String, index: usize) {
    for step in 0..10 {
        let request = request(&subject, &format!("{index}-{step}"), b"x");
        let patience = u32::try_from((index * 7 + step * 13) % 60).unwrap();
        let patience = Duration::from_micros(100) * patience;
        let _ = tokio::time::timeout(patience, caller.create_record(request)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_does_not_take_fails_alone() {
    let world = World::new().await;
    let subject = world.caller().subject().await;
    world.owner_sql(
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'poison'; END $$; \
         CREATE TRIGGER poison BEFORE INSERT ON records FOR EACH ROW \
             WHEN (NEW.kind = 'poison') EXECUTE FUNCTION poison()",
    );
    let ask = |index: usize| {
        let mut request = request(&subject, &format!("id-{index}"), b"x");
        if index.is_multiple_of(5) {
            "poison".clone_into(&mut request.record.as_mut().unwrap().r#type);
        }
        request
    };
    let answers = all_at_once(&world, ask).await;
    let failed: Vec<_> = answers.into_iter().filter(Result::is_err).map(reason).collect();
    assert_eq!(failed, [Reason::Internal; 5]);
    assert_eq!(world.count("records"), 19);
    assert_eq!(world.count("accesses WHERE action = 'records.records.create'"), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_business_is_frozen_and_told() {
    let world = World::new().await;
    let caller = world.caller();
    let (active, gone) = (caller.subject().await, caller.subject().await);
    world.owner_sql(&format!("UPDATE subjects SET state = 3 WHERE id = '{}'", id_of(&gone)));
    let ask = |index: usize| match index % 2 {
        0 => request(&gone, &format!("id-{}", index / 8), b"x"),
        _ => request(&active, &format!("other-{index}"), b"x"),
    };
    let answers = all_at_once(&world, ask).await;
    let refused: Vec<_> = answers.into_iter().filter(Result::is_err).map(reason).collect();
    assert_eq!(refused, [Reason::SubjectErased; CALLERS / 2]);
    assert_eq!(world.count("outcomes WHERE state = 4"), 3);
    let told = "changes c, unnest(c.names) AS name WHERE c.kind = 'request.rejected'";
    assert_eq!(world.count(told), 3);
}
