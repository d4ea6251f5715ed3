//! Reports of accesses, erasures, and the log of the records service.

use shared::transparency::TlogProof;

use super::*;
use crate::export::{ACCESS, AccessLine, ERASURE, ErasureLine};

const CERTIFICATE: &str = "strongroom/records/00000000-0000-0000-0000-000000000000/\
    erasure-certificate/v1\nsubject subjects/1\nerasure subjects/1/erasures/2\n\
    legal-basis SUBJECT_REQUEST\nrequested 2026-05-01T00:00:00Z\n\
    key-destroyed 2026-05-02T00:00:00Z\ndone 2026-05-03T00:00:00Z\n\
    destroyed keys=1 records=2 versions=3 index-rows=4 objects=5 uploads=6\nepochs 7-8\n\
    horizon none while epochs 7 8 live\n";

/// A log of the records service: three accesses, and an erasure.
fn log() -> (Log, Vec<Commitment>) {
    let tenant = format!("tenants/{}", Uuid::nil());
    let principals: Vec<Commitment> =
        PRINCIPALS.iter().map(|who| Commitment::new("principal", who)).collect();
    let access = |(number, who): (usize, &Commitment)| {
        let kind = if number == 1 { "access.denied" } else { "access.permitted" };
        let subject = format!("subjects/{number}");
        json!({"v": 1, "kind": kind, "tenant": tenant, "principal": who.hex(),
            "action": "records.records.get", "subject": subject})
        .to_string()
    };
    let mut leaves: Vec<String> = principals.iter().enumerate().map(access).collect();
    leaves.push(
        json!({"v": 1, "kind": "erasure.done", "tenant": tenant,
            "resource": "subjects/1/erasures/2", "subject": "subjects/1",
            "time": "2026-05-03T00:00:00Z", "legalBasis": "SUBJECT_REQUEST",
            "requestTime": "2026-05-01T00:00:00Z", "keyDestroyTime": "2026-05-02T00:00:00Z",
            "keys": 1, "records": 2, "versions": 3, "indexRows": 4, "objects": 5, "uploads": 6,
            "firstEpoch": 7, "lastEpoch": 8})
        .to_string(),
    );
    (Log { service: "records", leaves, ..Log::new() }, principals)
}

const PRINCIPALS: [&str; 3] = ["test:ada", "test:eve", "test:Zo\u{eb} \u{201c}Z\u{201d}"];

fn proof(log: &Log, index: usize, extra: Option<Vec<u8>>) -> String {
    let hashes: Vec<Hash> = log.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let (hashes, checkpoint) = (path(&hashes, index), log.note(log.leaves.len()));
    TlogProof { extra, index: index as u64, hashes, checkpoint }.to_string()
}

fn line(log: &Log, principals: &[Commitment], index: usize) -> String {
    let line = AccessLine {
        strongroom: ACCESS.to_owned(),
        leaf: log.leaves[index].clone(),
        principal: PRINCIPALS[index].to_owned(),
        salt: hex(&principals[index].salt),
        proof: proof(log, index, None),
    };
    serde_json::to_string(&line).unwrap() + "\n"
}

fn erasure(log: &Log, certificate: &str) -> String {
    let key = LogKey::from_pem(&log.pem).unwrap();
    let line = ErasureLine {
        strongroom: ERASURE.to_owned(),
        certificate: key.sign_text(certificate).unwrap(),
        proof: proof(log, 3, Some(log.leaves[3].clone().into_bytes())),
    };
    serde_json::to_string(&line).unwrap() + "\n"
}

fn whats(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn every_byte_of_a_report_of_accesses_counts() {
    let (log, principals) = log();
    let file = line(&log, &principals, 2) + &line(&log, &principals, 0);
    log.assert_each_byte_counts(&file);
    let report = log.verify(file.as_bytes(), None);
    let checks: Vec<_> = report.checks.iter().map(|check| (check.what, &*check.of)).collect();
    assert_eq!(
        checks[1..],
        [
            ("accesses", "2 accesses, 0 of them refused, about subjects/0, subjects/2"),
            ("principals", "2 open their commitments"),
            ("inclusion", "2 leaves under 1 checkpoints"),
        ]
    );
}

#[test]
fn a_report_may_have_any_lines_of_the_log_and_none_that_is_of_another() {
    let (log, principals) = log();
    let line = |index| line(&log, &principals, index);
    assert!(log.verify(line(1).as_bytes(), Some(log.note(4))).holds());
    assert!(!log.verify(line(1).as_bytes(), Some(log.note(3))).holds());
    let twice = log.verify((line(1) + &line(0) + &line(1)).as_bytes(), None);
    assert_eq!((whats(&twice), twice.findings[0].line), (vec!["leaf 1"], 3));
    // A leaf that is no access, whatever proves it.
    let mut other = line(0);
    other = other.replace(&json!(log.leaves[0]).to_string(), &json!(log.leaves[3]).to_string());
    let found = log.verify(other.as_bytes(), None);
    assert!(!found.holds());
    // Somebody else's name on it.
    let named = line(0).replace("test:ada", "test:eve");
    assert_eq!(whats(&log.verify(named.as_bytes(), None)), ["the principal"]);
    // The right leaf in the log of another service that has the same key.
    let ledger = Log { service: "transactions", leaves: log.leaves.clone(), ..self::log().0 };
    let ledger = Log { pem: log.pem.clone(), verifier_key: log.verifier_key.clone(), ..ledger };
    let found = ledger.verify(self::line(&ledger, &principals, 0).as_bytes(), None);
    assert_eq!(whats(&found), ["the origin"]);
}

#[test]
fn every_byte_of_an_erasure_counts() {
    let (log, _) = log();
    let file = erasure(&log, CERTIFICATE);
    log.assert_each_byte_counts(&file);
    let report = log.verify(file.as_bytes(), Some(log.note(4)));
    assert!(report.holds(), "{report:?}");
    let expected = "subject subjects/1, horizon none while epochs 7 8 live";
    assert_eq!((report.checks[0].what, &*report.checks[0].of), ("certificate", expected));
}

#[test]
fn a_certificate_says_what_the_log_says() {
    let (log, _) = log();
    for (from, to) in [
        ("subject subjects/1\n", "subject subjects/9\n"),
        ("records=2", "records=3"),
        ("epochs 7-8\n", "epochs 7-9\n"),
        ("horizon ", "horizont "),
        ("horizon ", "more\nhorizon "),
        ("/v1\n", "/v2\n"),
    ] {
        let changed = CERTIFICATE.replacen(from, to, 1);
        assert_ne!(changed, CERTIFICATE);
        let report = log.verify(erasure(&log, &changed).as_bytes(), None);
        assert!(!report.holds(), "{to}");
    }
    let (mut other, _) = self::log();
    other.leaves[3] = other.leaves[3].replace("erasure.done", "erasure.lost");
    let report = other.verify(erasure(&other, CERTIFICATE).as_bytes(), None);
    assert_eq!(whats(&report), ["the kind of the leaf"]);
    let unproven = serde_json::to_string(&ErasureLine {
        strongroom: ERASURE.to_owned(),
        certificate: LogKey::from_pem(&log.pem).unwrap().sign_text(CERTIFICATE).unwrap(),
        proof: String::new(),
    });
    let report = log.verify((unproven.unwrap() + "\n").as_bytes(), None);
    assert_eq!(whats(&report), ["the proof"]);
}

#[test]
fn the_log_of_records_has_no_books() {
    let (mut log, _) = log();
    log.leaves.push("{\"text\":\"\u{7}\"}".to_owned());
    log.assert_each_byte_counts(&log.export());
    let report = log.verify(log.export().as_bytes(), None);
    assert!(report.checks.iter().all(|check| check.what != "books"));
}
