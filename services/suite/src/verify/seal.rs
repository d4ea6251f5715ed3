//! What a verifier trusts: the key of the log, and checkpoints that were kept.

use std::path::Path;

use shared::transparency::{Checkpoint, Hash, open_note, read_notes};

use super::report::{Report, short};
use crate::export::hex;

/// What a verifier trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    key: String,
    /// Notes that were kept elsewhere.
    kept: Option<String>,
}

impl Trust {
    /// The verifier key (C2SP signed-note), and notes that were kept elsewhere, one after the
    /// other.
    pub fn new(key: &str, kept: Option<String>) -> Self {
        Self { key: key.trim().to_owned(), kept }
    }

    /// The verifier key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn read(key: &Path, kept: Option<&Path>) -> Result<Self, super::VerifyError> {
        let read =
            |path: &Path| std::fs::read_to_string(path).map_err(super::VerifyError::file(path));
        Ok(Self::new(&read(key)?, kept.map(read).transpose()?))
    }

    /// The checkpoint of a note on a line, if its signature holds.
    pub(super) fn open(&self, note: &str, line: u64, report: &mut Report) -> Option<Checkpoint> {
        let before = report.count;
        let opened = match open_note(note, &self.key) {
            Ok(opened) => Some(opened),
            Err(error) => {
                let what = "the signature of the checkpoint";
                report.find(line, what, format!("one of {}", self.key), error);
                None
            }
        };
        let of = opened.as_ref().map_or_else(
            || short(note.lines().next().unwrap_or_default()),
            |opened| format!("{}, {} leaves", opened.origin, opened.size),
        );
        report.check("signature", of, before);
        opened
    }

    /// The checkpoints of a log that were kept elsewhere, the smallest first. Those that are not
    /// signed are findings.
    pub(super) fn kept(&self, origin: &str, report: &mut Report) -> Option<Vec<Checkpoint>> {
        let before = report.count;
        let notes = read_notes(self.kept.as_deref()?, origin);
        let mut kept = Vec::with_capacity(notes.len());
        for note in notes {
            match open_note(note, &self.key) {
                Ok(opened) => kept.push(opened),
                Err(error) => {
                    let what = "the signature of a checkpoint that was kept";
                    report.find(0, what, format!("one of {}", self.key), error);
                }
            }
        }
        if kept.is_empty() {
            report.find(0, "the checkpoints that were kept", format!("some of {origin}"), "none");
        }
        kept.sort_by_key(|checkpoint| checkpoint.size);
        report.check("kept", format!("{} checkpoints", kept.len()), before);
        Some(kept)
    }

    /// Compares a checkpoint with those that were kept of its size, where any were.
    pub(super) fn compare(&self, checkpoint: &Checkpoint, line: u64, report: &mut Report) {
        let Some(kept) = self.kept(&checkpoint.origin, report) else { return };
        let before = report.count;
        let same = kept.iter().find(|kept| kept.size == checkpoint.size);
        match same {
            Some(same) if same.root == checkpoint.root => {}
            Some(same) => compare_roots(same.root, checkpoint.root, line, report),
            None => {
                let expected = format!("a kept checkpoint of {} leaves", checkpoint.size);
                report.find(line, "the checkpoint", expected, "none that was kept has that size");
            }
        }
        report.check("as kept", format!("{} leaves", checkpoint.size), before);
    }
}

/// Notes that one root is not the other.
pub(super) fn compare_roots(expected: Hash, found: Hash, line: u64, report: &mut Report) {
    if expected != found {
        report.find(line, "the root", hex(&expected), hex(&found));
    }
}
