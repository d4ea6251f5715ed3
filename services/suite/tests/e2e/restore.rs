//! One schema restored alone, as `deploy/restore.md` says.

use std::path::Path;
use std::process::Command;

use diesel::prelude::*;
use diesel::sql_types::Text;
use rustix::process::Signal;
use shared::problem::Reason;
use shared::testing::refusal;
use shared::transparency::{check_consistency, open_note, origin, read_notes};
use strongroom_proto::events::v1 as events;
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::transactions::v1 as transactions;
use strongroom_proto::transparency::v1 as log;
use suite::DEFAULT_TENANT;
use tokio::task::block_in_place;
use transactions::AccountClass;
use uuid::Uuid;

use crate::child::{Child, strongroom};
use crate::dump::Dumper;
use crate::ledger::{Ledger, hash, hashes, size};
use crate::wire::{cents, is_replay, open, send, source, transfer};
use crate::world::{folder, run};

/// The suite on a Postgres that is there, with checkpoints as soon as there is something to sign.
pub(crate) fn suite(state: &Path, url: &str) -> Command {
    let mut command = strongroom(state);
    command.env("STRONGROOM_DATABASE_URL", url).env("STRONGROOM_CHECKPOINT_INTERVAL", "0.1");
    command.env("STRONGROOM_DEADLINE", "60").env("STRONGROOM_POOL_WAIT", "60");
    command
}

/// Runs a command that ends, and gives its code and what it wrote.
fn ends(command: &mut Command) -> (Option<i32>, String) {
    let output = block_in_place(|| command.output().unwrap());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// What was signed in a timeline and kept outside the database: sizes and roots.
fn signed(state: &Path, timeline: Uuid) -> Vec<(u64, [u8; 32])> {
    let tenant = DEFAULT_TENANT.uuid();
    let path = state.join(format!("checkpoints/transactions/{tenant}.{timeline}.notes"));
    let text = std::fs::read_to_string(path).unwrap();
    let key = std::fs::read_to_string(state.join("keys/log.vkey")).unwrap();
    let origin = origin("transactions", DEFAULT_TENANT, timeline);
    let open = |note: &str| {
        let opened = open_note(note, &key).unwrap();
        (opened.size, opened.root)
    };
    read_notes(&text, &origin).into_iter().map(open).collect()
}

/// The timeline of an event.
fn timeline(event: &events::Event) -> Uuid {
    event.source.rsplit_once('/').unwrap().1.parse().unwrap()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The transactions that the old state has and the restored one has not.
fn missing(dumper: &Dumper) -> Vec<String> {
    const LOST: &str = "\
        SELECT 'transactions/' || id AS name FROM transactions_lost.transactions t \
        WHERE NOT EXISTS (SELECT FROM transactions.transactions k \
                          WHERE k.tenant_id = t.tenant_id AND k.id = t.id)";
    let rows: Vec<Row> = diesel::sql_query(LOST).load(&mut dumper.admin()).unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

/// Begins a new timeline in a service, without which the suite does not start.
pub(crate) fn confirm(service: &str, suite: impl Fn() -> Command) {
    let (code, said) = ends(&mut suite());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{service} ended: the log of")), "{said}");
    assert!(said.contains("restore --confirm"), "{said}");
    let (code, said) = ends(suite().args(["restore", service]));
    assert!(code == Some(64) && said.contains("--confirm"), "{said}");
    let (code, said) = ends(suite().args(["restore", service, "--confirm"]));
    assert!(code == Some(0) && said.contains("timeline"), "{said}");
}

/// Who kept a checkpoint from before the dump sees that it is the beginning of the new log too.
async fn assert_goes_on(ledger: &mut Ledger, old: &log::InclusionProof, new: &log::InclusionProof) {
    let request =
        log::GetConsistencyProofRequest { from_size: old.tree_size, to_size: Some(new.tree_size) };
    let proof = ledger.log.get_consistency_proof(request).await.unwrap().into_inner();
    let [from, to] = [old, new].map(|one| (size(one.tree_size), hash(&one.root_hash)));
    assert_eq!(hash(&proof.from_root_hash), from.1);
    assert!(check_consistency(from, to, &hashes(&proof.hashes)));
}

#[test]
fn a_ledger_that_is_restored_alone_goes_on_in_a_timeline_of_its_own() {
    run(async {
        let folder = folder();
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        if !dumper.can_dump() {
            return;
        }
        let (state, file) = (folder.path().join("state"), folder.path().join("ledger.dump"));
        let start = || block_in_place(|| Child::launch(&state, suite(&state, dumper.url())));
        let stop = |child: Child| {
            child.signal(Signal::TERM);
            assert!(block_in_place(|| child.ended()).success());
        };

        let child = start();
        let mut ledger = Ledger::of(&child);
        let house = source(&ledger.clients).await;
        let account = open(&ledger.clients, AccountClass::Liability).await;
        let kept = transfer(&house, &account, "1.00");
        let kept_name = send(&ledger.clients, kept.clone()).await.unwrap().into_inner().name;
        let kept_proof = ledger.proof(&kept_name).await;
        let listed = ledger.events_from("").await.unwrap();
        let old = timeline(&listed.events[0]);
        block_in_place(|| dumper.save("transactions", &file));

        // Acknowledged, signed, and not in the dump.
        let lost = transfer(&house, &account, "2.00");
        let lost_name = send(&ledger.clients, lost.clone()).await.unwrap().into_inner().name;
        let lost_proof = ledger.proof(&lost_name).await;
        let cursor = ledger.events_from(&listed.next_cursor).await.unwrap().next_cursor;
        stop(child);

        let others = || block_in_place(|| ["accounts", "records"].map(|other| dumper.sql(other)));
        let before = others();
        block_in_place(|| dumper.restore("transactions", &file));
        confirm("transactions", || suite(&state, dumper.url()));
        assert!(before == others(), "a schema that was not restored has changed");

        let child = start();
        let mut ledger = Ledger::of(&child);
        for cursor in [&listed.next_cursor, &cursor] {
            let refused = ledger.events_from(cursor).await.unwrap_err();
            assert_eq!(refusal(&refused).0, Reason::TimelineChanged);
        }
        assert_eq!(block_in_place(|| missing(&dumper)), [lost_name.as_str()]);
        assert_eq!(cents(&ledger.clients, &account).await, 100);
        assert_eq!(ledger.mismatches().await, []);
        assert!(is_replay(&send(&ledger.clients, kept).await.unwrap()));
        // What is lost never happened here: it can be asked for, and done again.
        assert_eq!(ledger.state(&lost.request_id).await, State::Unknown);
        let again = send(&ledger.clients, lost).await.unwrap();
        assert!(!is_replay(&again));
        assert_eq!(cents(&ledger.clients, &account).await, 300);
        let again = ledger.proof(&again.into_inner().name).await;
        let new = timeline(&ledger.events_from("").await.unwrap().events[0]);
        assert!(new > old);

        assert_goes_on(&mut ledger, &kept_proof, &again).await;
        // What was signed before the restore stands, and proves what was lost.
        let lost_root = (size(lost_proof.tree_size), hash(&lost_proof.root_hash));
        assert!(signed(&state, old).contains(&lost_root));
        assert!(lost_proof.leaf.unwrap().data.contains(&lost_name));
        let new_root = (size(again.tree_size), hash(&again.root_hash));
        let signed = signed(&state, new);
        assert!(signed.contains(&new_root) && !signed.contains(&lost_root));
        stop(child);
    });
}
