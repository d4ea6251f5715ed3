//! Rotation of the keys of blind indexes: look-ups find what they should at every moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_proto::records::v1 as wire;
use wire::KeyScope as Scope;
use wire::field_index::Normalisation;
use wire::rotation::State;

use crate::callers::records::{field, index, json_type};
use crate::world::{Caller, World, create, id_of};

const KIND: &str = "customer-profile";

async fn declare(caller: &Caller) {
    let email = index("email", 64, Normalisation::Email);
    caller.declare(KIND, json_type("", vec![field("/email", email)])).await;
}

async fn profile(caller: &Caller, subject: &str, email: &str) -> String {
    let content = format!(r#"{{"email": "{email}", "city": "Basel"}}"#);
    let mut request = create(subject, "application/json", content.as_bytes());
    KIND.clone_into(&mut request.record.as_mut().unwrap().r#type);
    caller.create_record(request).await.unwrap().into_inner().name
}

async fn lookup(caller: &Caller, index: &str, value: &str) -> Vec<String> {
    let request = wire::LookupRecordsRequest {
        r#type: KIND.to_owned(),
        index: index.to_owned(),
        value: value.to_owned(),
        purpose: "KYC".to_owned(),
    };
    let found = caller.lookup_records(request).await.unwrap().into_inner();
    found.records.into_iter().map(|record| record.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_find_everything_at_every_moment() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    declare(&caller).await;
    let subject = caller.subject().await;
    let mut records = Vec::new();
    for number in 0..5 {
        records.push(profile(&caller, &subject, &format!("p{number}@example.com")).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (seeker, halt, known) = (world.caller(), Arc::clone(&stop), records.clone());
    let seeking = tokio::spawn(async move {
        let mut rounds = 0;
        while !halt.load(Ordering::SeqCst) || rounds < 2 {
            for (number, record) in known.iter().enumerate() {
                let found = lookup(&seeker, "email", &format!("P{number}@example.com")).await;
                assert_eq!(found, std::slice::from_ref(record), "{rounds}");
            }
            rounds += 1;
        }
    });
    let (writer, halt, whose) = (world.caller(), Arc::clone(&stop), subject.clone());
    let writing = tokio::spawn(async move {
        let mut made = Vec::new();
        while !halt.load(Ordering::SeqCst) || made.len() < 2 {
            let email = format!("w{}@example.com", made.len());
            made.push((email.clone(), profile(&writer, &whose, &email).await));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        made
    });
    for version in 2..4 {
        let rotation = keys.rotated(Scope::IndexKey, false).await;
        assert_eq!(rotation.state(), State::Done, "{rotation:?}");
        let live = keys.list_keys(Scope::IndexKey).await;
        assert_eq!(live.last().unwrap().id, version.to_string());
        assert_eq!(live.len(), 1, "the old version is gone");
    }
    stop.store(true, Ordering::SeqCst);
    seeking.await.unwrap();
    for (email, name) in writing.await.unwrap() {
        assert_eq!(lookup(&caller, "email", &email).await, [name]);
    }
    assert_eq!(world.count("record_index WHERE key_version <> 3"), 0);
    // The keys of indexes move with the tenant's.
    assert_eq!(keys.rotated(Scope::TenantKey, false).await.state(), State::Done);
    assert_eq!(world.count("index_keys WHERE tenant_key_epoch = 2"), 1);
    assert_eq!(lookup(&caller, "email", "p0@example.com").await, records[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_added_later_is_filled() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let plain = json_type("", vec![field("/email", None)]);
    let kind = caller.declare(KIND, plain).await;
    let subject = caller.subject().await;
    let record = profile(&caller, &subject, "jane@example.com").await;
    let email = index("email", 64, Normalisation::Email);
    let kind = wire::RecordType { fields: vec![field("/email", email)], ..kind };
    let update = wire::UpdateRecordTypeRequest {
        record_type: Some(kind),
        ..wire::UpdateRecordTypeRequest::default()
    };
    caller.update_record_type(update).await.unwrap();
    assert!(lookup(&caller, "email", "jane@example.com").await.is_empty());
    let rotation = keys.rotated(Scope::IndexKey, false).await;
    assert_eq!((rotation.state(), rotation.total, rotation.done), (State::Done, 1, 1));
    assert_eq!(lookup(&caller, "email", "jane@example.com").await, [record]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_what_does_not_open_stay_under_their_key() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    declare(&caller).await;
    let subject = caller.subject().await;
    let one = profile(&caller, &subject, "one@example.com").await;
    let two = profile(&caller, &subject, "two@example.com").await;
    let flip = || {
        world.owner_sql(&format!(
            "UPDATE record_versions SET body = set_byte(body, 60, get_byte(body, 60) # 1) \
             WHERE record_id = '{}'",
            id_of(&one),
        ));
    };
    flip();
    let rotation = keys.rotated(Scope::IndexKey, false).await;
    assert_eq!((rotation.state(), &rotation.broken), (State::Incomplete, &vec![one.clone()]));
    assert_eq!(world.count("record_index WHERE key_version = 1"), 1);
    assert_eq!(lookup(&caller, "email", "two@example.com").await, [two]);
    flip();
    assert_eq!(lookup(&caller, "email", "one@example.com").await, std::slice::from_ref(&one));
    assert_eq!(keys.rotated(Scope::IndexKey, false).await.state(), State::Done);
    assert_eq!(lookup(&caller, "email", "one@example.com").await, [one]);
    assert_eq!(world.count("record_index WHERE key_version <> 3"), 0);
    assert_eq!(world.count("index_keys"), 1);
}
