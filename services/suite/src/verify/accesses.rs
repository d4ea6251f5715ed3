//! Verifies a report of accesses: every line proves itself, by its own leaf, the commitment to who
//! it was, and the way to a signed checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use serde::Deserialize;
use shared::commitment::Commitment;
use shared::transparency::{Checkpoint, TlogProof, leaf_hash};

use super::lines::{Lines, Next, parse};
use super::report::{Report, short};
use super::seal::Trust;
use crate::export::{ACCESS, AccessLine, hex, unhex};

/// The name of the text that a leaf commits to.
const PRINCIPAL: &str = "principal";
/// The kinds of leaves that are accesses.
const KINDS: [&str; 2] = ["access.permitted", "access.denied"];
/// The service whose log has them.
const SERVICE: &str = "strongroom/records/";
/// Subjects that are named in the answer.
const NAMED_MAX: usize = 3;

/// Of a leaf only what is judged or told.
#[derive(Debug, Deserialize)]
struct Leaf {
    kind: String,
    tenant: String,
    principal: String,
    #[serde(default)]
    subject: Option<String>,
}

/// What was seen until now.
#[derive(Default)]
struct Seen {
    /// Notes, the line that had each first, and what it says where it is believed. Many lines have
    /// the same one.
    notes: BTreeMap<String, (u64, Option<Checkpoint>)>,
    /// The positions in each log.
    places: BTreeSet<(String, u64)>,
    subjects: BTreeSet<String>,
    accesses: u64,
    denied: u64,
    /// Findings about who it was, and about the way to a checkpoint.
    of_principals: usize,
    of_paths: usize,
}

/// Verifies a report whose first line was read.
pub(super) fn verify(
    first: &str,
    mut lines: Lines<impl BufRead>,
    trust: &Trust,
    report: &mut Report,
) -> io::Result<()> {
    let (mut seen, before) = (Seen::default(), report.count);
    let mut line = parse(first, 1, report);
    loop {
        if let Some(line) = line {
            seen.take(&line, lines.number, trust, report);
        }
        line = match lines.read(report)? {
            Next::Line(line) => Some(line),
            Next::Bad => None,
            Next::End => break,
        };
    }
    let of_signatures = report.checks.iter().filter(|check| !check.holds).count();
    let others = seen.of_principals + seen.of_paths + of_signatures;
    report.check("accesses", seen.sum_up(), before + others);
    let of = format!("{} open their commitments", seen.accesses);
    report.check("principals", of, report.count - seen.of_principals);
    let of = format!("{} leaves under {} checkpoints", seen.places.len(), seen.notes.len());
    report.check("inclusion", of, report.count - seen.of_paths);
    for (line, checkpoint) in seen.notes.values() {
        if let Some(checkpoint) = checkpoint {
            trust.compare(checkpoint, *line, report);
        }
    }
    Ok(())
}

impl Seen {
    fn take(&mut self, line: &AccessLine, number: u64, trust: &Trust, report: &mut Report) {
        self.accesses += 1;
        if line.strongroom != ACCESS {
            report.find(number, "the format", ACCESS, short(&line.strongroom));
        }
        let leaf: Leaf = match serde_json::from_str(&line.leaf) {
            Ok(leaf) => leaf,
            Err(error) => return report.find(number, "the leaf", "an access", error),
        };
        if !KINDS.contains(&leaf.kind.as_str()) {
            report.find(number, "the kind of the leaf", KINDS.join(" or "), short(&leaf.kind));
        }
        self.denied += u64::from(leaf.kind == KINDS[1]);
        let since = report.count;
        open_principal(line, &leaf, number, report);
        self.of_principals += report.count - since;
        self.follow(line, &leaf, number, trust, report);
        self.subjects.extend(leaf.subject);
    }

    /// Judges the way from a leaf to a signed checkpoint.
    fn follow(
        &mut self,
        line: &AccessLine,
        leaf: &Leaf,
        number: u64,
        trust: &Trust,
        report: &mut Report,
    ) {
        let Ok(proof) = TlogProof::parse(&line.proof) else {
            self.of_paths += 1;
            return report.find(number, "the proof", "a tlog-proof", short(&line.proof));
        };
        let known = self.notes.get(&proof.checkpoint).cloned();
        let (_, checkpoint) = known.unwrap_or_else(|| {
            let opened = (number, trust.open(&proof.checkpoint, number, report));
            self.notes.insert(proof.checkpoint.clone(), opened.clone());
            opened
        });
        // That it is not believed was said where it stood first.
        let Some(checkpoint) = checkpoint else { return };
        let since = report.count;
        let tenant = leaf.tenant.strip_prefix("tenants/").unwrap_or(&leaf.tenant);
        if !checkpoint.origin.starts_with(&format!("{SERVICE}{tenant}/")) {
            let expected = format!("a log of {SERVICE}{tenant}");
            report.find(number, "the origin", expected, short(&checkpoint.origin));
        }
        if !proof.leads(leaf_hash(&line.leaf), &checkpoint) {
            let expected = format!("one from leaf {} to {}", proof.index, hex(&checkpoint.root));
            report.find(number, "the path", expected, "one that leads elsewhere");
        }
        if !self.places.insert((checkpoint.origin, proof.index)) {
            let what = format!("leaf {}", proof.index);
            report.find(number, what, "one line for it", "a second one");
        }
        self.of_paths += report.count - since;
    }

    /// What it all was, in words.
    fn sum_up(&self) -> String {
        let (accesses, denied, count) = (self.accesses, self.denied, self.subjects.len());
        let named: Vec<&str> = self.subjects.iter().take(NAMED_MAX).map(String::as_str).collect();
        let named = match count {
            0 => "nobody".to_owned(),
            1..=NAMED_MAX => named.join(", "),
            _ => format!("{} and {} more", named.join(", "), count - NAMED_MAX),
        };
        format!("{accesses} accesses, {denied} of them refused, about {named}")
    }
}

/// Judges whether it was who is named.
fn open_principal(line: &AccessLine, leaf: &Leaf, number: u64, report: &mut Report) {
    let salt = unhex(&line.salt).zip(unhex(&leaf.principal));
    let commitment = salt.map(|(salt, value)| Commitment { salt, value });
    if !commitment.is_some_and(|one| one.opens(PRINCIPAL, &line.principal)) {
        let expected = format!("whom {} commits to", short(&leaf.principal));
        report.find(number, "the principal", expected, format!("{:?}", short(&line.principal)));
    }
}
