//! Verifies the proof of a leaf: the checkpoint, the leaf, and the path from one to the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::transparency::{Hash, check_inclusion, leaf_hash};

use super::lines::parse;
use super::report::Report;
use super::seal::Trust;
use crate::export::{LeafLine, Proof, hex};

/// Verifies a proof, which is one line.
pub(super) fn verify(line: &str, trust: &Trust, report: &mut Report) {
    let Some(proof) = parse::<Proof>(line, 1, report) else { return };
    let LeafLine { index, data, hash } = &proof.leaf;
    let before = report.count;
    let expected = hex(&leaf_hash(data));
    if expected != *hash {
        report.find(1, format!("the hash of leaf {index}"), &expected, hash);
    }
    report.check("leaf", format!("leaf {index}, {expected}"), before);
    let Proof { tree_size, hashes, checkpoint, .. } = &proof;
    let way = Way { index: *index, tree_size: *tree_size, hashes, checkpoint };
    way.verify(data, trust, report);
}

/// The way from a leaf to a signed checkpoint. It is on the first line of its file.
pub(super) struct Way<'a> {
    pub(super) index: u64,
    pub(super) tree_size: u64,
    pub(super) hashes: &'a [String],
    pub(super) checkpoint: &'a str,
}

impl Way<'_> {
    /// Judges whether a leaf is in the log of the checkpoint.
    pub(super) fn verify(&self, data: &str, trust: &Trust, report: &mut Report) {
        let Some(opened) = trust.open(self.checkpoint, 1, report) else { return };
        let (before, index) = (report.count, self.index);
        if self.tree_size != opened.size {
            report.find(1, "the size of the tree", opened.size, self.tree_size);
        }
        let hash = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
        let path: Option<Vec<Hash>> = self.hashes.iter().map(hash).collect();
        let leads =
            |path: &[Hash]| check_inclusion(leaf_hash(data), index, opened.size, opened.root, path);
        match path {
            None => report.find(1, "the path", "hashes of 32 bytes in base64", "others"),
            Some(path) if leads(&path) => {}
            Some(_) => {
                let expected = format!("one from leaf {index} to {}", hex(&opened.root));
                report.find(1, "the path", expected, "one that leads elsewhere");
            }
        }
        report.check("inclusion", format!("leaf {index} of {}", opened.size), before);
        trust.compare(&opened, 1, report);
    }
}
