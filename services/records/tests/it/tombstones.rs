//! A database that was set back is erased again before it is served.

use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::listener;
use strongroom_proto::records::v1 as wire;
use tokio_util::sync::CancellationToken;
use wire::erasure::State;

use crate::realm::{Realm, configuration};
use crate::world::{get, id_of, reason};

/// Keeps what a backup would have, and puts it back.
const BACKUP: &str = "CREATE TABLE kept_keys AS SELECT * FROM subject_keys; \
     CREATE TABLE kept_versions AS SELECT * FROM record_versions; \
     CREATE TABLE kept_erasures AS SELECT * FROM erasures";
const RESTORE: &str = "DELETE FROM erasures; INSERT INTO erasures SELECT * FROM kept_erasures; \
     DELETE FROM record_versions; INSERT INTO record_versions SELECT * FROM kept_versions; \
     INSERT INTO subject_keys SELECT * FROM kept_keys; \
     UPDATE subjects SET state = 1; UPDATE records SET state = 1, purge_time = NULL";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_restore_brings_back_is_erased_again() {
    let mut realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let record = ann.record(&subject, b"secret").await.name;
    // At the time of the backup there is a hold. It is released, and the person erased.
    let hold = ann.hold(&subject).await.name;
    realm.world.owner_sql(BACKUP);
    ann.release(&hold).await.unwrap();
    realm.member().release(&hold).await.unwrap();
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    let before = ann.until(&asked.name, State::Done).await;

    realm.world.running.cancel();
    realm.world.owner_sql(RESTORE);
    realm.world.owner_sql("UPDATE legal_holds SET state = 1, releaser = NULL");
    realm.restart().await;
    // The first thing that anybody can read.
    assert_eq!(realm.world.count("subject_keys"), 0);
    let mut ann = realm.member();
    assert_eq!(ann.state(&subject).await, wire::subject::State::Erased);
    let read = ann.records.get_record(get(&record, wire::RecordView::Full, "LEGAL")).await;
    assert_eq!(reason(read), Reason::SubjectErased);
    let after = ann.until(&asked.name, State::Done).await;
    assert_eq!((after.create_time, after.requester), (before.create_time, before.requester));
    assert_eq!(after.destroyed, before.destroyed);
    assert_eq!(realm.events("subject.erasedAgain"), 1);
    let left = "record_versions WHERE num_nonnulls(body, data_key, commitment_salt) > 0";
    assert_eq!(realm.world.count(left), 0);
    // Once is enough.
    realm.restart().await;
    assert_eq!(realm.events("subject.erasedAgain"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_whom_a_backup_does_not_know_is_not_used_again() {
    let mut realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    ann.until(&asked.name, State::Done).await;
    realm.world.running.cancel();
    realm.world.owner_sql("DELETE FROM erasures; DELETE FROM subjects");
    realm.restart().await;
    let mut ann = realm.member();
    let subject_id = id_of(&subject).to_owned();
    let request = wire::CreateSubjectRequest { subject_id, ..Default::default() };
    let answer = ann.subjects.create_subject(request).await;
    assert_eq!(reason(answer), Reason::SubjectErased);
    ann.until(&asked.name, State::Done).await;
}

/// An erasure that a hold stops leaves no tombstone: nothing is erased behind its back.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_has_no_tombstone() {
    let mut realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let record = ann.record(&subject, b"secret").await.name;
    ann.hold(&subject).await;
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    realm.restart().await;
    let mut ann = realm.member();
    assert_eq!(ann.erasure(&asked.name).await.state(), State::Blocked);
    assert!(!realm.world.folder.path().join("objects/tombstones").exists());
    let read = ann.records.get_record(get(&record, wire::RecordView::Full, "LEGAL")).await;
    assert_eq!(&read.unwrap().get_ref().content[..], b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_passed_over() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    ann.until(&asked.name, State::Done).await;
    realm.world.running.cancel();
    realm.world.owner_sql("DELETE FROM erasures; UPDATE subjects SET state = 1");
    let folder = realm.world.folder.path().to_owned();
    let tombstones: Vec<_> =
        std::fs::read_dir(folder.join("objects/tombstones")).unwrap().collect();
    let [Ok(tombstone)] = &tombstones[..] else { panic!("{tombstones:?}") };
    std::fs::write(tombstone.path(), "{}").unwrap();
    let config = configuration(&realm.world.database, &realm.world.issuer, &folder);
    let (clock, shutdown) = (Clock::system(), CancellationToken::new());
    let error = records::serve(listener().await, config, clock, shutdown).await.unwrap_err();
    assert!(error.to_string().starts_with("tombstones: "), "{error}");
}
