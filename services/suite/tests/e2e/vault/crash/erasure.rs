//! An erasure, at any moment.

use std::time::Duration;

use shared::problem::Reason;

use super::place::Place;
use crate::crash::scale;
use crate::ledger::LOOKS;
use crate::vault::caller::{Vault, erase, frames, reason, seal};
use crate::wire::request_id;
use crate::world::run;

const ROUNDS: u64 = 6;
const RECORDS: usize = 50;
/// Three segments, outside the database.
const LARGE: usize = 9 << 20;

/// A person with records, one of which is large.
struct Person {
    subject: String,
    records: Vec<String>,
}

impl Person {
    async fn new(vault: &Vault) -> Self {
        let subject = vault.subject().await;
        let mut records = Vec::new();
        for number in 0..RECORDS {
            let request = seal(&subject, "note", "text/plain", format!("note {number}"));
            records.push(vault.create(request).await.unwrap().name);
        }
        let large = frames(&subject, &request_id(), &vec![7; LARGE]);
        records.push(vault.upload(large).await.unwrap().name);
        Self { subject, records }
    }

    /// What is kept opens.
    async fn assert_there(&self, vault: &Vault) {
        let (large, small) = self.records.split_last().unwrap();
        for (number, name) in small.iter().enumerate() {
            assert_eq!(vault.content(name).await.unwrap(), format!("note {number}").into_bytes());
        }
        assert!(vault.download(large, 0, 0).await.unwrap() == vec![7; LARGE]);
    }

    /// What is erased is erased everywhere.
    async fn assert_gone(&self, place: &Place) {
        let vault = place.vault();
        for name in &self.records {
            assert_eq!(reason(vault.content(name).await), Reason::SubjectErased);
        }
        let id = self.subject.strip_prefix("subjects/").unwrap();
        for rows in [
            format!("records.subject_keys WHERE subject_id = '{id}'"),
            format!("records.uploads WHERE subject_id = '{id}' AND data_key IS NOT NULL"),
            format!(
                "records.record_versions v JOIN records.records r \
                 ON r.tenant_id = v.tenant_id AND r.id = v.record_id WHERE r.subject_id = '{id}' \
                 AND (body IS NOT NULL OR data_key IS NOT NULL OR commitment_salt IS NOT NULL)"
            ),
        ] {
            assert_eq!(place.count(&rows), 0, "{rows}");
        }
        let large = self.records.last().unwrap().strip_prefix("records/").unwrap();
        for _ in 0..LOOKS {
            let names = place.objects().into_iter().map(|path| path.to_string_lossy().into_owned());
            if names.filter(|name| name.contains("/bodies/")).all(|name| !name.contains(large)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("an object of {} stays", self.subject);
    }
}

#[test]
fn an_erasure_that_is_killed_is_done_and_stays_done() {
    run(Box::pin(async {
        let mut place = Place::start();
        let kept = Person::new(&place.vault()).await;
        let mut gone: Vec<Person> = Vec::new();
        for round in 0..ROUNDS * u64::try_from(scale()).unwrap() {
            let (vault, person) = (place.vault(), Person::new(&place.vault()).await);
            let request = erase(&person.subject, request_id());
            let asked = tokio::spawn({
                let (mut subjects, request) = (vault.subjects.clone(), request.clone());
                async move { subjects.erase_subject(request).await }
            });
            // At any moment, from before it is asked for to when it is done.
            tokio::time::sleep(Duration::from_millis(round * 13 % 100)).await;
            place.kill();
            let _ = asked.await.unwrap();
            place.restart();

            let vault = place.vault();
            let erasure = vault.subjects.clone().erase_subject(request).await.unwrap();
            let erasure = vault.erased(&erasure.into_inner().name).await;
            let destroyed = erasure.destroyed.unwrap();
            let all = i64::try_from(person.records.len()).unwrap();
            assert_eq!((destroyed.keys, destroyed.records, destroyed.versions), (1, all, all));
            assert!(erasure.certificate.contains(&person.subject));
            gone.push(person);
            for person in &gone {
                person.assert_gone(&place).await;
            }
            kept.assert_there(&vault).await;
            place.assert_logged().await;
        }
        place.stop();
    }));
}
