//! Rotation of keys while everybody reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::KeyScope as Scope;
use wire::rotation::State;

use crate::key_caller::put_keks;
use crate::world::{Caller, World, create, id_of, is_replayed, reason};

/// Subjects with records, whose content is their own name.
pub(crate) async fn people(caller: &Caller, count: usize) -> Vec<(String, Vec<String>)> {
    let mut people = Vec::new();
    for _ in 0..count {
        let subject = caller.subject().await;
        let mut records = Vec::new();
        for _ in 0..2 {
            let content = subject.clone();
            records.push(caller.record(&subject, "text/plain", content.as_bytes()).await.name);
        }
        people.push((subject, records));
    }
    people
}

pub(crate) async fn all_open(caller: &Caller, people: &[(String, Vec<String>)]) {
    for (subject, records) in people {
        for record in records {
            assert_eq!(caller.content(record).await.unwrap(), subject.as_bytes());
        }
    }
}

/// Makes subjects and records and reads them, until it is told to stop.
async fn busy(caller: Caller, stop: Arc<AtomicBool>) -> Vec<(String, Vec<String>)> {
    let mut made = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        made.append(&mut people(&caller, 1).await);
        all_open(&caller, &made[made.len() - 1..]).await;
        all_open(&caller, &made[..1]).await;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reads_and_writes_while_keys_are_rotated() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let before = people(&caller, 5).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> =
        (0..3).map(|_| tokio::spawn(busy(world.caller(), Arc::clone(&stop)))).collect();

    let mut during = Vec::new();
    put_keks(&world.kek(), &["a", "b"]);
    for (scope, reseal) in [
        (Scope::Kek, false),
        (Scope::TenantKey, false),
        (Scope::TenantKey, true),
        (Scope::IndexKey, false),
    ] {
        let rotation = keys.rotated(scope, reseal).await;
        assert_eq!((rotation.state(), rotation.broken.len()), (State::Done, 0), "{rotation:?}");
        assert_eq!((rotation.scope(), rotation.reseal), (scope, reseal));
        assert!(rotation.done >= rotation.total && rotation.done_time.is_some(), "{rotation:?}");
        during.append(&mut people(&caller, 2).await);
    }
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        let made = worker.await.unwrap();
        assert!(!made.is_empty());
        all_open(&caller, &made).await;
    }
    all_open(&caller, &before).await;
    all_open(&caller, &during).await;
    assert_eq!(world.count("subject_keys WHERE tenant_key_epoch <> 3 OR made_epoch <> 3"), 0);
    assert_eq!(world.count("subject_keys"), world.count("subjects"));
    assert_eq!(world.count("tenant_keys WHERE retire_time IS NULL AND epoch = 3"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_goes_on() {
    let mut world = World::with_keks(&[]).await;
    let people = people(&world.caller(), 4).await;
    let stuck = id_of(&people[2].1[0]);
    world.owner_sql(&format!(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'stopped'; END $$; \
         CREATE TRIGGER stop BEFORE UPDATE ON record_versions FOR EACH ROW \
             WHEN (NEW.record_id = '{stuck}') EXECUTE FUNCTION stop()"
    ));
    let request = wire::RotateKeyRequest {
        scope: Scope::TenantKey.into(),
        reseal: true,
        request_id: "one".to_owned(),
    };
    let keys = world.keys();
    let rotation = keys.rotate_key(request.clone()).await.unwrap().into_inner();
    assert_eq!((rotation.state(), rotation.total), (State::Running, 8));
    // Two subjects are through before the one that fails.
    while keys.get_rotation(&rotation.name).await.unwrap().into_inner().done < 6 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    all_open(&world.caller(), &people).await;
    let again = keys.rotate_key(request).await.unwrap();
    assert!(is_replayed(&again) && again.get_ref().name == rotation.name);
    let other = keys.rotate(Scope::TenantKey, "two").await.unwrap_err();
    let (refused, _, figures) = refusal(&other);
    assert_eq!((refused, figures["state"].as_str()), (Reason::InvalidTransition, "RUNNING"));
    assert_eq!(world.count("tenant_keys"), 2, "a refusal makes no key");

    world.restart_with(&[]).await;
    let keys = world.keys();
    assert_eq!(
        keys.get_rotation(&rotation.name).await.unwrap().into_inner().state(),
        State::Running
    );
    all_open(&world.caller(), &people).await;
    world.owner_sql("DROP TRIGGER stop ON record_versions");
    let ended = keys.ended(&rotation.name).await;
    assert_eq!((ended.state(), ended.done), (State::Done, 8));
    all_open(&world.caller(), &people).await;
    assert_eq!(world.count("subject_keys WHERE generation <> 2 OR tenant_key_epoch <> 2"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_named_and_left_as_it_was() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let people = people(&caller, 3).await;
    let record = &people[0].1[0];
    let subject = &people[1].0;
    let flip = || {
        world.owner_sql(&format!(
            "UPDATE record_versions SET body = set_byte(body, 60, get_byte(body, 60) # 1) \
                 WHERE record_id = '{}'; \
             UPDATE subject_keys SET wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1) \
                 WHERE subject_id = '{}'",
            id_of(record),
            id_of(subject),
        ));
    };
    flip();
    let rotation = keys.rotated(Scope::TenantKey, true).await;
    assert_eq!(rotation.state(), State::Incomplete);
    assert_eq!(rotation.broken, [subject.clone(), record.clone()]);
    all_open(&caller, &people[2..]).await;
    assert_eq!(caller.content(&people[0].1[1]).await.unwrap(), people[0].0.as_bytes());
    // Nothing is lost: once the damage is undone, all of it opens, and another rotation moves it.
    flip();
    all_open(&caller, &people).await;
    assert_eq!(keys.rotated(Scope::TenantKey, true).await.state(), State::Done);
    all_open(&caller, &people).await;
    assert_eq!(world.count("subject_keys WHERE tenant_key_epoch <> 3 OR made_epoch <> 3"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_loses_nothing() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let people = people(&caller, 1).await;
    crate::key_caller::put(&world.kek(), "no keys");
    let refused = reason(keys.rotate(Scope::Kek, "one").await);
    assert_eq!(refused, Reason::KeyProviderUnavailable);
    assert_eq!(world.count("rotations"), 0);
    all_open(&caller, &people).await;
    put_keks(&world.kek(), &["a", "b"]);
    let rotation = keys.rotate(Scope::Kek, "one").await.unwrap().into_inner();
    assert_eq!((keys.ended(&rotation.name).await.state(), rotation.total), (State::Done, 1));
    all_open(&caller, &people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_learn_of_a_new_key_encryption_key() {
    let mut world = World::with_keks(&[]).await;
    let people = people(&world.caller(), 1).await;
    let other = world.replica(&[]).await;
    let one = std::mem::replace(&mut world.running, other);
    all_open(&world.caller(), &people).await;
    let other = std::mem::replace(&mut world.running, one);
    put_keks(&world.kek(), &["a", "b"]);
    world.keys().rotated(Scope::Kek, false).await;
    put_keks(&world.kek(), &["b"]);
    let one = std::mem::replace(&mut world.running, other);
    all_open(&world.caller(), &people).await;
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    for (scope, reseal, field) in [
        (Scope::Unspecified, false, "scope"),
        (Scope::LogKey, false, "scope"),
        (Scope::Kek, true, "reseal"),
        (Scope::IndexKey, true, "reseal"),
    ] {
        let request_id = String::new();
        let request = wire::RotateKeyRequest { scope: scope.into(), reseal, request_id };
        let status = keys.rotate_key(request).await.unwrap_err();
        assert_eq!(refusal(&status).1, field);
    }
    let rotation = keys.rotated(Scope::TenantKey, false).await;
    let other = world.keys_in(world.database.tenant());
    assert_eq!(reason(other.get_rotation(&rotation.name).await), Reason::ResourceNotFound);
    keys.rotate(Scope::TenantKey, "x").await.unwrap();
    assert_eq!(reason(keys.rotate(Scope::Kek, "x").await), Reason::RequestIdReused);
    assert!(
        caller.create_record(create(&caller.subject().await, "text/plain", b"x")).await.is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_are_listed_the_latest_first() {
    let world = World::with_keks(&[]).await;
    let keys = world.keys();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.insert(0, keys.rotated(Scope::TenantKey, false).await.name);
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListRotationsRequest { page_size: 2, page_token };
        let page = keys.list_rotations(request).await.unwrap().into_inner();
        seen.extend(page.rotations.into_iter().map(|rotation| rotation.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, names);
    let other = world.keys_in(world.database.tenant());
    let none = other.list_rotations(wire::ListRotationsRequest::default()).await.unwrap();
    assert!(none.into_inner().rotations.is_empty());
}
