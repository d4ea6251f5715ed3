//! Verifies the proof of an erasure: the signed certificate, the leaf that says the same, and the
//! way from the leaf to a signed checkpoint.

use serde::Deserialize;
use shared::transparency::{TlogProof, leaf_hash, open_text};

use super::lines::parse;
use super::report::{Report, short};
use super::seal::Trust;
use crate::export::{ErasureLine, hex};

/// The kind of the leaf.
const DONE: &str = "erasure.done";
/// What the last line of a certificate begins with: it says what holds as of its signature, and is
/// not in the leaf.
const HORIZON: &str = "horizon ";

/// The leaf of an erasure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    kind: String,
    tenant: String,
    resource: String,
    subject: String,
    time: String,
    legal_basis: String,
    request_time: String,
    key_destroy_time: String,
    keys: i64,
    records: i64,
    versions: i64,
    index_rows: i64,
    objects: i64,
    uploads: i64,
    first_epoch: i64,
    last_epoch: i64,
}

impl Leaf {
    /// What the certificate has to say of it.
    fn certificate(&self) -> String {
        let tenant = self.tenant.strip_prefix("tenants/").unwrap_or(&self.tenant);
        let Self { keys, records, versions, index_rows, objects, uploads, .. } = self;
        format!(
            "strongroom/records/{tenant}/erasure-certificate/v1\n\
             subject {}\n\
             erasure {}\n\
             legal-basis {}\n\
             requested {}\n\
             key-destroyed {}\n\
             done {}\n\
             destroyed keys={keys} records={records} versions={versions} index-rows={index_rows} \
             objects={objects} uploads={uploads}\n\
             epochs {}-{}\n",
            self.subject,
            self.resource,
            self.legal_basis,
            self.request_time,
            self.key_destroy_time,
            self.time,
            self.first_epoch,
            self.last_epoch,
        )
    }
}

/// Verifies the proof of an erasure, which is one line.
pub(super) fn verify(line: &str, trust: &Trust, report: &mut Report) {
    let Some(ErasureLine { certificate, proof, .. }) = parse(line, 1, report) else { return };
    let certificate = open_certificate(&certificate, trust, report);
    let Ok(proof) = TlogProof::parse(&proof) else {
        let found = if proof.is_empty() { "none yet".to_owned() } else { short(&proof) };
        report.find(1, "the proof", "a tlog-proof", found);
        return report.check("leaf", "not in a signed log", report.count - 1);
    };
    let before = report.count;
    let leaf = proof.extra.clone().and_then(|leaf| String::from_utf8(leaf).ok());
    let leaf = leaf.unwrap_or_default();
    judge(&leaf, certificate.as_deref(), report);
    report.check("leaf", format!("leaf {}, {}", proof.index, hex(&leaf_hash(&leaf))), before);
    let Some(checkpoint) = trust.open(&proof.checkpoint, 1, report) else { return };
    let before = report.count;
    if !proof.leads(leaf_hash(&leaf), &checkpoint) {
        let expected = format!("one from leaf {} to {}", proof.index, hex(&checkpoint.root));
        report.find(1, "the path", expected, "one that leads elsewhere");
    }
    let of = format!("leaf {} of {}", proof.index, checkpoint.size);
    report.check("inclusion", of, before);
    trust.compare(&checkpoint, 1, report);
}

/// The text of the certificate, if its signature holds.
fn open_certificate(note: &str, trust: &Trust, report: &mut Report) -> Option<String> {
    let before = report.count;
    let opened = match open_text(note, trust.key()) {
        Ok(text) => Some(text),
        Err(error) => {
            let expected = format!("one of {}", trust.key());
            report.find(1, "the signature of the certificate", expected, error);
            None
        }
    };
    let of = opened.as_deref().unwrap_or_default().lines();
    let of: Vec<&str> =
        of.filter(|line| line.starts_with("subject ") || is_horizon(line)).collect();
    report.check("certificate", of.join(", "), before);
    opened
}

fn is_horizon(line: &str) -> bool {
    line.starts_with(HORIZON)
}

/// Judges whether the leaf says that the erasure is done, and the certificate what the leaf says.
fn judge(leaf: &str, certificate: Option<&str>, report: &mut Report) {
    let leaf: Leaf = match serde_json::from_str(leaf) {
        Ok(leaf) => leaf,
        Err(error) => return report.find(1, "the leaf", "an erasure", error),
    };
    if leaf.kind != DONE {
        report.find(1, "the kind of the leaf", DONE, short(&leaf.kind));
    }
    let Some(certificate) = certificate else { return };
    let mut lines: Vec<&str> = certificate.split_inclusive('\n').collect();
    if lines.pop_if(|line| is_horizon(line)).is_none() {
        report.find(1, "the end of the certificate", "the horizon", "another line");
    }
    let (expected, found) = (leaf.certificate(), lines.concat());
    if expected != found {
        let differs = |(one, other): &(&str, &str)| one != other;
        let (expected, found) = expected
            .lines()
            .zip(found.lines())
            .find(differs)
            .unwrap_or(("as many lines as the leaf says", "more or fewer"));
        report.find(1, "the certificate", short(expected), short(found));
    }
}
