//! A rotation that makes everything anew, with readers and writers running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_proto::records::v1 as wire;
use tokio::task::JoinSet;

use super::place::{Place, assert_cut};
use crate::crash::scale;
use crate::vault::caller::{Vault, frames, seal};
use crate::wire::request_id;
use crate::world::run;

const ROUNDS: usize = 4;
const SUBJECTS: usize = 6;
/// Records before the first rotation.
const RECORDS: usize = 300;
const CALLERS: usize = 6;
/// Two segments, outside the database.
const LARGE: usize = 5 << 20;

/// What belongs to a number: of different lengths, so that no two are alike.
fn content(number: usize) -> Vec<u8> {
    format!("{number:08} ").repeat(1 + number % 200).into_bytes()
}

/// The numbers of records, by name.
type Known = BTreeMap<String, usize>;

#[test]
fn a_rotation_that_is_killed_goes_on_and_loses_nothing() {
    run(Box::pin(async {
        let mut place = Place::start();
        let mut scene = Scene::new(&place.vault()).await;
        for round in 0..ROUNDS * scale() {
            let request_id = request_id();
            // Part of the way, differently in each round; in the first it may not have begun.
            let part = i64::try_from(round % ROUNDS).unwrap();
            let load = scene.load(&place);
            rotate_until(&place.vault(), &request_id, part).await;
            place.kill();
            let Load { created, unknown } = load.join().await;
            place.restart();

            let vault = place.vault();
            let rotation = vault.keys.clone().rotate_key(rotation(&request_id)).await.unwrap();
            vault.rotated(&rotation.into_inner().name).await;
            scene.known.extend(created);
            // A repeat gives what the first has made, or makes it.
            for (request, number) in unknown {
                scene.known.insert(vault.create(request).await.unwrap().name, number);
            }
            scene.assert_all_open(&vault).await;
            place.assert_logged().await;
            let old = "records.subject_keys k WHERE made_epoch < \
                       (SELECT max(epoch) FROM records.tenant_keys t \
                         WHERE t.tenant_id = k.tenant_id)";
            assert_eq!(place.count(old), 0, "something is still under an old key");
        }
        place.stop();
    }));
}

fn rotation(request_id: &str) -> wire::RotateKeyRequest {
    wire::RotateKeyRequest {
        scope: wire::KeyScope::TenantKey.into(),
        reseal: true,
        request_id: request_id.to_owned(),
    }
}

/// Rotates until so many quarters are done.
async fn rotate_until(vault: &Vault, request_id: &str, quarters: i64) {
    let mut keys = vault.keys.clone();
    let begun = keys.rotate_key(rotation(request_id));
    if quarters == 0 {
        // Asked for, and the answer has not come.
        let _ = tokio::time::timeout(Duration::from_millis(5), begun).await;
        return;
    }
    let name = begun.await.unwrap().into_inner().name;
    loop {
        let request = wire::GetRotationRequest { name: name.clone() };
        let now = vault.keys.clone().get_rotation(request).await.unwrap().into_inner();
        if now.done * 4 >= now.total * quarters || now.state() != wire::rotation::State::Running {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Scene {
    subjects: Arc<Vec<String>>,
    known: Known,
    large: Vec<(String, Vec<u8>)>,
    next: Arc<AtomicUsize>,
}

impl Scene {
    async fn new(vault: &Vault) -> Self {
        let mut subjects = Vec::new();
        for _ in 0..SUBJECTS {
            subjects.push(vault.subject().await);
        }
        let mut known = Known::new();
        for number in 0..RECORDS {
            let request = document(&subjects, number);
            known.insert(vault.create(request).await.unwrap().name, number);
        }
        let mut large = Vec::new();
        for subject in &subjects[..2] {
            let content: Vec<u8> = (0..LARGE / 9).flat_map(|at| content(200 * at)).collect();
            let frames = frames(subject, &request_id(), &content);
            large.push((vault.upload(frames).await.unwrap().name, content));
        }
        let next = Arc::new(AtomicUsize::new(RECORDS));
        Self { subjects: Arc::new(subjects), known, large, next }
    }

    /// Callers that read and write until nobody answers.
    fn load(&self, place: &Place) -> Running {
        let names: Arc<Vec<(String, usize)>> =
            Arc::new(self.known.iter().map(|(name, number)| (name.clone(), *number)).collect());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(readers(place.vault(), Arc::clone(&names), caller));
            let (subjects, next) = (Arc::clone(&self.subjects), Arc::clone(&self.next));
            callers.spawn(writers(place.vault(), subjects, next));
        }
        Running(callers)
    }

    /// Everything opens with what was put there.
    async fn assert_all_open(&self, vault: &Vault) {
        for (name, number) in &self.known {
            assert!(
                vault.content(name).await.unwrap() == content(*number),
                "{name} is not its own"
            );
        }
        for (name, expected) in &self.large {
            assert!(
                vault.download(name, 0, 0).await.unwrap() == *expected,
                "{name} is not its own"
            );
        }
    }
}

fn document(subjects: &[String], number: usize) -> wire::CreateRecordRequest {
    seal(&subjects[number % subjects.len()], "note", "text/plain", content(number))
}

/// What a caller knows at the end.
#[derive(Default)]
struct Load {
    created: Known,
    unknown: Vec<(wire::CreateRecordRequest, usize)>,
}

struct Running(JoinSet<Load>);

impl Running {
    async fn join(self) -> Load {
        let mut all = Load::default();
        for one in self.0.join_all().await {
            all.created.extend(one.created);
            all.unknown.extend(one.unknown);
        }
        all
    }
}

async fn readers(vault: Vault, names: Arc<Vec<(String, usize)>>, from: usize) -> Load {
    for (name, number) in names.iter().cycle().skip(from * names.len() / CALLERS) {
        match vault.content(name).await {
            Ok(found) => assert!(found == content(*number), "{name} is not its own"),
            Err(status) => {
                assert_cut(&status);
                break;
            }
        }
    }
    Load::default()
}

async fn writers(vault: Vault, subjects: Arc<Vec<String>>, next: Arc<AtomicUsize>) -> Load {
    let mut load = Load::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let request = document(&subjects, number);
        match vault.create(request.clone()).await {
            Ok(record) => {
                load.created.insert(record.name, number);
                // The rotation shall have an end.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(status) => {
                assert_cut(&status);
                load.unknown.push((request, number));
                return load;
            }
        }
    }
}
