//! The vault restored alone, to a state in which a person was not erased yet.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use rustix::process::Signal;
use shared::problem::Reason;
use strongroom_proto::events::v1 as events;
use strongroom_proto::records::v1 as wire;
use suite::Clients;
use tokio::task::block_in_place;

use super::caller::{Vault, erase, frames, reason, seal};
use crate::child::Child;
use crate::dump::Dumper;
use crate::ledger::LOOKS;
use crate::restore::{confirm, suite};
use crate::wire::request_id;
use crate::world::{folder, run};

/// Two segments, outside the database.
const LARGE: usize = 5 << 20;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// A person with a small and a large record.
struct Person {
    subject: String,
    small: String,
    large: String,
}

impl Person {
    async fn new(vault: &Vault) -> Self {
        let subject = vault.subject().await;
        let small = vault.create(seal(&subject, "note", "text/plain", "small")).await.unwrap();
        let large = frames(&subject, &request_id(), &vec![7; LARGE]);
        let large = vault.upload(large).await.unwrap();
        Self { subject, small: small.name, large: large.name }
    }

    async fn assert_there(&self, vault: &Vault) {
        assert_eq!(vault.content(&self.small).await.unwrap(), b"small");
        assert!(vault.download(&self.large, 0, 0).await.unwrap() == vec![7; LARGE]);
    }

    async fn assert_erased(&self, vault: &Vault, dumper: &Dumper) {
        let request = wire::GetSubjectRequest { name: self.subject.clone() };
        let subject = vault.subjects.clone().get_subject(request).await.unwrap().into_inner();
        assert_eq!(subject.state(), wire::subject::State::Erased);
        let erased = Reason::SubjectErased;
        assert_eq!(reason(vault.content(&self.small).await), erased);
        assert_eq!(reason(vault.download(&self.large, 0, 0).await), erased);
        let id = self.subject.strip_prefix("subjects/").unwrap();
        let keys =
            format!("SELECT count(*) AS count FROM records.subject_keys WHERE subject_id = '{id}'");
        let keys = block_in_place(|| diesel::sql_query(keys).get_result(&mut dumper.admin()));
        let Count { count } = keys.unwrap();
        assert_eq!(count, 0, "there is a key of an erased person");
    }
}

/// What the runbook brings over before the start, so that nothing goes that is held.
const HOLDS: &str = "\
    INSERT INTO records.legal_holds \
    SELECT l.* FROM records_lost.legal_holds l \
    JOIN records.subjects s ON s.tenant_id = l.tenant_id AND s.id = l.subject_id \
    WHERE l.state <> 3 ON CONFLICT DO NOTHING; \
    INSERT INTO records.retention_interests \
    SELECT l.* FROM records_lost.retention_interests l \
    JOIN records.subjects s ON s.tenant_id = l.tenant_id AND s.id = l.subject_id \
    ON CONFLICT DO NOTHING; \
    UPDATE records.consents k SET revoke_time = l.revoke_time, revision = l.revision \
    FROM records_lost.consents l \
    WHERE l.tenant_id = k.tenant_id AND l.id = k.id \
      AND l.revoke_time IS NOT NULL AND k.revoke_time IS NULL";

/// Holds all that is about a person.
async fn hold(vault: &Vault, subject: &str) -> String {
    let hold = wire::LegalHold {
        target: subject.to_owned(),
        authority: "court".to_owned(),
        case_reference: "1".to_owned(),
        ..Default::default()
    };
    let request = wire::PlaceLegalHoldRequest {
        legal_hold: Some(hold),
        request_id: request_id(),
        ..Default::default()
    };
    vault.governance.clone().place_legal_hold(request).await.unwrap().into_inner().name
}

/// What forbids to erase a person.
async fn blockers(vault: &Vault, subject: &str) -> Vec<String> {
    let dry = wire::EraseSubjectRequest { dry_run: true, ..erase(subject, String::new()) };
    let told = vault.subjects.clone().erase_subject(dry).await.unwrap().into_inner();
    told.blockers.into_iter().map(|blocker| blocker.name).collect()
}

/// The types of events, from the first.
async fn told(vault: &Vault) -> Vec<(String, String)> {
    let request = events::ListEventsRequest { page_size: 1_000, ..Default::default() };
    let events = vault.events.clone().list_events(request).await.unwrap().into_inner().events;
    events.into_iter().map(|event| (event.r#type, event.subject)).collect()
}

#[test]
fn a_vault_that_is_restored_alone_erases_again_before_it_serves() {
    run(Box::pin(async {
        let folder = folder();
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        if !dumper.can_dump() {
            return;
        }
        let (state, file) = (folder.path().join("state"), folder.path().join("vault.dump"));
        let start = || block_in_place(|| Child::launch(&state, suite(&state, dumper.url())));
        let stop = |child: Child| {
            child.signal(Signal::TERM);
            assert!(block_in_place(|| child.ended()).success());
        };
        let vault =
            |child: &Child| Vault::of(&Clients::new(child.at, None).unwrap(), child.at.records);

        let child = start();
        let before = vault(&child);
        let (ada, grace) = (Person::new(&before).await, Person::new(&before).await);
        block_in_place(|| dumper.save("records", &file));
        let lost = before.create(seal(&grace.subject, "note", "text/plain", "lost")).await.unwrap();
        let held = hold(&before, &grace.subject).await;
        before.erase(&ada.subject).await;
        ada.assert_erased(&before, &dumper).await;
        stop(child);

        let others = || block_in_place(|| ["accounts", "transactions"].map(|one| dumper.sql(one)));
        let untouched = others();
        block_in_place(|| dumper.restore("records", &file));
        confirm("records", || suite(&state, dumper.url()));
        assert!(untouched == others(), "a schema that was not restored has changed");
        block_in_place(|| dumper.admin().batch_execute(HOLDS).unwrap());

        // The first answer already knows of it.
        let child = start();
        let after = vault(&child);
        ada.assert_erased(&after, &dumper).await;
        grace.assert_there(&after).await;
        assert_eq!(blockers(&after, &grace.subject).await, [held]);
        assert_eq!(reason(after.content(&lost.name).await), Reason::ResourceNotFound);
        let again = ("subject.erasedAgain".to_owned(), ada.subject.clone());
        let mut events = Vec::new();
        for _ in 0..LOOKS {
            events = told(&after).await;
            if events.contains(&again) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(events.contains(&again), "{events:?}");
        stop(child);

        // Once is enough, and it stays so.
        let child = start();
        let after = vault(&child);
        ada.assert_erased(&after, &dumper).await;
        grace.assert_there(&after).await;
        let told = told(&after).await;
        assert_eq!(told.iter().filter(|event| **event == again).count(), 1);
        stop(child);
    }));
}
