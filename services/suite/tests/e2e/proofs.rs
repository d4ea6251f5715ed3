//! Exports and proofs, by the binary: written with a ledger, and verified without one.

use std::path::Path;
use std::process::Output;

use strongroom_proto::transactions::v1::AccountClass;
use tokio::task::block_in_place;

use crate::child::strongroom;
use crate::wire::{open, send, source, transfer};
use crate::world::{claims, folder, run, world};

/// Runs the binary in a folder, and gives how it ended and what it said.
fn command(folder: &Path, token: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = strongroom(&folder.join("state"));
    command.args(arguments).env("STRONGROOM_TOKEN", token).current_dir(folder);
    let Output { status, stdout, stderr } = block_in_place(|| command.output().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_is_exported_is_proven_without_the_ledger() {
    run(Box::pin(async {
        let (world, folder) = (world().await, folder());
        let (folder, tenant) = (folder.path(), world.tenant().await);
        let clients = world.caller(tenant);
        let token = world.token(&claims(tenant, &["*"]));
        let at = world.at.transactions.to_string();
        let house = source(&clients).await;
        let account = open(&clients, AccountClass::Liability).await;
        let mut last = String::new();
        for _ in 0..20 {
            let posted = send(&clients, transfer(&house, &account, "1.25")).await.unwrap();
            last = posted.into_inner().name;
        }
        std::fs::write(folder.join("log.vkey"), &world.log_key).unwrap();

        // A proof is there as soon as a checkpoint covers the transaction, and then so is the
        // export.
        let prove = ["prove", &last, "--out", "proof.json", "--ledger", &at];
        let (code, _, error) = command(folder, &token, &prove);
        assert_eq!(code, Some(0), "{error}");
        let (code, _, error) =
            command(folder, &token, &["export", "--out", "log.ndjson", "--ledger", &at]);
        assert_eq!(code, Some(0), "{error}");
        let verify = |files: &[&str]| {
            let arguments = [&["verify", "--key", "log.vkey"], files].concat();
            command(folder, "", &arguments)
        };
        let (code, out, error) = verify(&["log.ndjson", "proof.json"]);
        assert_eq!(code, Some(0), "{out}{error}");
        assert!(out.contains("20 transactions, 40 entries, 2 accounts"), "{out}");

        // The last posting said otherwise: its line is named.
        let export = std::fs::read_to_string(folder.join("log.ndjson")).unwrap();
        let line = export.lines().position(|line| line.contains(&last)).unwrap() + 1;
        let changed = export.replace(&last, &last.replacen("transactions/0", "transactions/1", 1));
        std::fs::write(folder.join("log.ndjson"), changed).unwrap();
        let (code, out, error) = verify(&["log.ndjson", "proof.json"]);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains(&format!("line {line}: the hash of leaf {}", line - 2)), "{out}");
        assert!(error.contains("1 of 2 files do not hold"), "{error}");
        // Not signed by who is trusted.
        let (_, stranger) = shared::transparency::generate().unwrap();
        std::fs::write(folder.join("log.vkey"), stranger).unwrap();
        let (code, out, _) = verify(&["proof.json"]);
        assert_eq!(code, Some(1));
        assert!(out.contains("the signature of the checkpoint"), "{out}");
    }));
}
