//! What is sealed, and what people wrote about a person, is looked for wherever something is kept
//! or told: logs, errors, events, metrics, outcomes, the leaves of the log, a dump of the database,
//! and the object store.

mod documents;
mod governance;
mod heard;
mod streams;

use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;
use rustix::process::Signal;
use serde_json::Value;
use strongroom_proto::events::v1 as events;
use strongroom_proto::outcomes::v1 as outcomes;
use strongroom_proto::records::v1 as wire;
use strongroom_proto::transparency::v1 as log;
use suite::{Api, Clients, DEFAULT_TENANT, Keys};
use tokio::task::block_in_place;

use self::heard::Heard;
use super::caller::Vault;
use crate::child::{Child, strongroom};
use crate::command::scrape;
use crate::dump::Dumper;
use crate::markers::{Markers, everything};
use crate::world::{claims, folder, run};

/// Where people's texts about a person may be: the table, the column, and what is there.
const COLUMNS: [(&str, &str, &[&str]); 4] = [
    ("legal_holds", "case_reference", &["case"]),
    ("break_glass_leases", "reason", &["why"]),
    ("record_labels", "value", &["label", "stream-label"]),
    // For as long as an upload can be repeated.
    ("uploads", "header", &["cut-label", "stream-label"]),
];

#[derive(QueryableByName)]
struct Columns {
    #[diesel(sql_type = Text)]
    own: String,
    #[diesel(sql_type = Text)]
    others: String,
}

/// Whether a line of a dump, or of all rows, is of one of those tables.
fn is_allowed(line: &str) -> bool {
    let line = line.strip_prefix("INSERT INTO ").unwrap_or(line);
    COLUMNS.iter().any(|(table, ..)| line.starts_with(&format!("records.{table} ")))
}

/// Two callers, and what they put in.
struct Story {
    child: Child,
    api: Api,
    vault: Vault,
    /// Of another principal.
    other: Vault,
    subject: String,
    /// Content, and what it is looked for by.
    secrets: Markers,
    /// Texts that are kept in columns of their own.
    texts: Markers,
    heard: Heard,
    dumper: Dumper,
    state: PathBuf,
}

#[test]
fn nothing_of_what_is_sealed_is_anywhere() {
    run(Box::pin(async {
        let folder = folder();
        let mut story = Story::new(folder.path()).await;
        story.declare().await;
        let documents = story.keep_documents().await;
        story.read_documents(&documents).await;
        story.look_up(&documents[0]).await;
        story.refuse_documents(&documents[0]).await;
        let streamed = story.stream().await;
        story.stream_badly().await;
        story.export().await;
        story.vault.rotate(wire::KeyScope::TenantKey, true).await;
        story.vault.rotate(wire::KeyScope::IndexKey, false).await;
        story.read_documents(&documents).await;
        story.look_up(&documents[0]).await;
        story.break_glass().await;
        let [hold, erasure] = story.hold(&documents[0]).await;
        story.listen().await;
        story.assert_only_in_columns();

        story.release(&hold).await;
        let erased = story.vault.erased(&erasure).await;
        story.heard.message(&erased);
        let [profile, note] = documents;
        story.assert_erased(&[profile, note, streamed]).await;
        story.listen().await;
        story.assert_nowhere();
        story.child.signal(Signal::TERM);
        assert!(block_in_place(|| story.child.ended()).success());
    }));
}

impl Story {
    async fn new(folder: &Path) -> Self {
        let dumper = block_in_place(|| Dumper::start(folder));
        let state = folder.join("state");
        let mut command = strongroom(&state);
        command.env("STRONGROOM_DATABASE_URL", dumper.url()).env("STRONGROOM_DEADLINE", "60");
        command.env("STRONGROOM_LOG", "debug").env("STRONGROOM_LOG_JSON", "true");
        command.env("STRONGROOM_CHECKPOINT_INTERVAL", "0.1");
        let child = block_in_place(|| Child::launch(&state, command));
        let mut other = claims(DEFAULT_TENANT, &["*"]);
        "other".clone_into(&mut other.sub);
        let other = Keys::open(&state).unwrap().issuer().unwrap().sign(&other).unwrap();
        let (own, other) = (Clients::new(child.at, None), Clients::new(child.at, Some(&other)));
        let (own, at) = (own.unwrap(), child.at.records);
        let vault = Vault::of(&own, at);
        let subject = vault.subject().await;
        Self {
            api: own.api(at).unwrap(),
            other: Vault::of(&other.unwrap(), at),
            vault,
            subject,
            secrets: Markers::default(),
            texts: Markers::default(),
            heard: Heard::default(),
            dumper,
            state,
            child,
        }
    }

    /// All that belongs to the person: the search finds it there.
    async fn export(&mut self) {
        let request = wire::ExportSubjectRequest {
            name: self.subject.clone(),
            purpose: "SUBJECT_REQUEST".to_owned(),
        };
        let mut parts =
            self.vault.subjects.clone().export_subject(request).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(part) = parts.message().await.unwrap() {
            all.extend_from_slice(&part.ndjson);
        }
        let found = self.secrets.found(&String::from_utf8(all).unwrap());
        assert_eq!(found, ["city", "email", "name", "note", "renamed", "streamed", "tax"]);
    }

    /// Everything that is told to who asks for no content.
    async fn listen(&mut self) {
        let list = events::ListEventsRequest { page_size: 1_000, ..Default::default() };
        self.heard.answer(self.vault.events.clone().list_events(list).await);
        let list = outcomes::ListOutcomesRequest { page_size: 1_000, ..Default::default() };
        self.heard.answer(self.vault.outcomes.clone().list_outcomes(list).await);
        let list = log::ListLeavesRequest { start_index: 0, page_size: 1_000 };
        self.heard.answer(self.vault.log.clone().list_leaves(list).await);
        let list = wire::ListAccessEntriesRequest { page_size: 1_000, ..Default::default() };
        self.heard.answer(self.vault.access_log.clone().list_access_entries(list).await);
        let list = wire::ListAccessesRequest {
            parent: self.subject.clone(),
            page_size: 100,
            proofs: true,
            ..Default::default()
        };
        self.heard.answer(self.vault.subjects.clone().list_accesses(list).await);
        let list = wire::ListErasuresRequest { parent: self.subject.clone(), ..Default::default() };
        self.heard.answer(self.vault.subjects.clone().list_erasures(list).await);
        let list = wire::ListRotationsRequest::default();
        self.heard.answer(self.vault.keys.clone().list_rotations(list).await);
        let told = self.heard.text().to_owned() + &scrape(self.child.admin).await;
        assert_eq!(self.secrets.found(&told), Vec::<&str>::new());
        assert_eq!(self.texts.found(&told), Vec::<&str>::new());
        self.assert_log();
    }

    /// The log is one of debugging, and JSON but for what is said while the suite starts.
    fn assert_log(&self) {
        let log = std::fs::read_to_string(self.state.join("stderr")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let debug = lines.filter(|line| line["level"] == "DEBUG").count();
        assert!(debug > 100, "{log}");
    }

    /// Content is nowhere, and people's texts are in their columns.
    fn assert_only_in_columns(&self) {
        let kept = block_in_place(|| everything(&self.dumper, &self.state));
        assert_eq!(self.secrets.found(&kept), Vec::<&str>::new());
        let elsewhere: String =
            kept.split_inclusive('\n').filter(|line| !is_allowed(line)).collect();
        assert_eq!(self.texts.found(&elsewhere), Vec::<&str>::new());
        for (table, column, places) in COLUMNS {
            // The search finds what is there, in no other column of that table.
            let Columns { own, others } = block_in_place(|| self.columns(table, column));
            assert_eq!(self.texts.found(&own), *places);
            assert_eq!(self.texts.found(&others), Vec::<&str>::new());
        }
    }

    /// A column of a table, and all the others.
    fn columns(&self, table: &str, column: &str) -> Columns {
        let query = format!(
            "SELECT string_agg({column}, ' ') AS own, \
             string_agg((to_jsonb(t) - '{column}')::text, ' ') AS others FROM records.{table} t"
        );
        diesel::sql_query(query).get_result(&mut self.dumper.admin()).unwrap()
    }

    /// Neither is anywhere.
    fn assert_nowhere(&self) {
        let kept = block_in_place(|| everything(&self.dumper, &self.state));
        assert_eq!(self.secrets.found(&kept), Vec::<&str>::new());
        assert_eq!(self.texts.found(&kept), Vec::<&str>::new());
    }
}
