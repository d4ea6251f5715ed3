//! Everything of a person made anew under new keys.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer, Text};
use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::KeyScope as Scope;
use wire::rotation::State;

use crate::rotations::{all_open, people};
use crate::streams::{SEGMENT, Streamer, content, header, objects};
use crate::world::{World, id_of};

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Binary)]
    body: Vec<u8>,
    #[diesel(sql_type = Binary)]
    data_key: Vec<u8>,
    #[diesel(sql_type = Binary)]
    commitment_salt: Vec<u8>,
    #[diesel(sql_type = Binary)]
    commitment: Vec<u8>,
    #[diesel(sql_type = Text)]
    data_key_id: String,
    #[diesel(sql_type = Integer)]
    generation: i32,
}

fn stored(world: &World) -> BTreeMap<String, Stored> {
    let query = "SELECT record_id::text AS name, body, data_key, commitment_salt, commitment, \
                 data_key_id::text AS data_key_id, subject_key_generation AS generation \
                 FROM record_versions";
    let rows: Vec<Stored> = diesel::sql_query(query).load(&mut world.database.admin()).unwrap();
    rows.into_iter().map(|row| (row.name.clone(), row)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reseal_makes_everything_anew_and_keeps_what_the_log_committed_to() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let mut people = people(&caller, 3).await;
    // More than one step takes.
    for _ in 0..40 {
        let subject = people[1].0.clone();
        let record = caller.record(&subject, "text/plain", subject.as_bytes()).await.name;
        people[1].1.push(record);
    }
    let before = stored(&world);
    let rotation = keys.rotated(Scope::TenantKey, true).await;
    assert_eq!(rotation.state(), State::Done, "{rotation:?}");
    let after = stored(&world);
    assert_eq!(before.len(), 46);
    for (name, old) in &before {
        let new = &after[name];
        assert_eq!((old.generation, new.generation), (1, 2));
        assert_eq!(old.commitment, new.commitment);
        assert_ne!(old.data_key_id, new.data_key_id);
        for (old, new) in [
            (&old.body, &new.body),
            (&old.data_key, &new.data_key),
            (&old.commitment_salt, &new.commitment_salt),
        ] {
            let tail = old.len() - 16;
            assert!(!new.windows(16).any(|window| *window == old[tail..]));
        }
    }
    assert_eq!(world.count("subject_keys WHERE generation = 1"), 0);
    // Backups from before still have all of it under the first epoch.
    assert_eq!(world.count("subject_keys WHERE first_epoch = 1 AND made_epoch = 2"), 3);
    all_open(&caller, &people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_segments_are_made_anew_too() {
    let world = World::with_keks(&[]).await;
    let (streamer, keys) = (Streamer::new(&world), world.keys());
    let subject = streamer.caller.subject().await;
    // More segments than one step takes, and a body that is damaged.
    let (large, small) = (content(10 * SEGMENT + 5, 1), content(SEGMENT, 2));
    let name = |answer: tonic::Response<wire::Record>| answer.into_inner().name;
    let media = "application/pdf";
    let one = name(streamer.upload(header(&subject, media), &large).await.unwrap());
    let two = name(streamer.upload(header(&subject, media), &small).await.unwrap());
    let inline = streamer.caller.record(&subject, "text/plain", b"between").await.name;
    let before: BTreeSet<_> = objects(&world).into_iter().collect();
    assert_eq!(before.len(), 12);
    let damaged = before.iter().find(|path| path.to_str().unwrap().contains(id_of(&two))).unwrap();
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[SEGMENT / 2] ^= 1;
    std::fs::write(damaged, &bytes).unwrap();

    let rotation = keys.rotated(Scope::TenantKey, true).await;
    assert_eq!((rotation.state(), &rotation.broken), (State::Incomplete, &vec![two.clone()]));
    let new: Vec<_> = objects(&world).into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(new.len(), 11, "{new:?}");
    assert!(new.iter().all(|path| path.to_str().unwrap().contains(id_of(&one))));
    assert!(streamer.content(&one).await == large);
    assert_eq!(streamer.caller.content(&inline).await.unwrap(), b"between");
    assert_eq!(world.count("record_versions WHERE subject_key_generation = 2"), 2);

    bytes[SEGMENT / 2] ^= 1;
    std::fs::write(damaged, &bytes).unwrap();
    assert!(streamer.content(&two).await == small);
    assert_eq!(keys.rotated(Scope::TenantKey, true).await.state(), State::Done);
    assert!(streamer.content(&one).await == large && streamer.content(&two).await == small);
    assert_eq!(world.count("subject_keys WHERE generation <> 3"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_meanwhile_stays_erased() {
    let world = World::with_keks(&[]).await;
    let (caller, keys) = (world.caller(), world.keys());
    let people = people(&caller, 3).await;
    // The keys of one are gone when its turn comes, as an erasure leaves it.
    let gone = id_of(&people[1].0);
    world.owner_sql(&format!(
        "DELETE FROM subject_keys WHERE subject_id = '{gone}'; \
         UPDATE subjects SET state = 3 WHERE id = '{gone}'"
    ));
    assert_eq!(keys.rotated(Scope::TenantKey, true).await.state(), State::Done);
    assert_eq!(world.count(&format!("subject_keys WHERE subject_id = '{gone}'")), 0);
    assert_eq!(caller.content(&people[1].1[0]).await, Err(Reason::SubjectErased));
    all_open(&caller, &people[..1]).await;
    all_open(&caller, &people[2..]).await;
}
