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
    let Proof { leaf, tree_size, hashes, checkpoint, .. } = &proof;
    included(leaf, *tree_size, hashes, checkpoint, 1, trust, report);
}

/// Judges whether a leaf is in the log of a checkpoint.
pub(super) fn included(
    leaf: &LeafLine,
    tree_size: u64,
    hashes: &[String],
    checkpoint: &str,
    line: u64,
    trust: &Trust,
    report: &mut Report,
) {
    let opened = trust.open(checkpoint, line, report);
    let before = report.count;
    let hash = leaf_hash(&leaf.data);
    if hex(&hash) != leaf.hash {
        report.find(line, format!("the hash of leaf {}", leaf.index), hex(&hash), &leaf.hash);
    }
    report.check("leaf", format!("leaf {}, {}", leaf.index, hex(&hash)), before);
    let Some(opened) = opened else { return };
    let before = report.count;
    if tree_size != opened.size {
        report.find(line, "the size of the tree", opened.size, tree_size);
    }
    let path: Option<Vec<Hash>> =
        hashes.iter().map(|hash| STANDARD.decode(hash).ok()?.try_into().ok()).collect();
    match path {
        None => report.find(line, "the path", "hashes of 32 bytes in base64", "others"),
        Some(path) if check_inclusion(hash, leaf.index, opened.size, opened.root, &path) => {}
        Some(_) => {
            let expected = format!("one from leaf {} to {}", leaf.index, hex(&opened.root));
            report.find(line, "the path", expected, "one that leads elsewhere");
        }
    }
    report.check("inclusion", format!("leaf {} of {}", leaf.index, opened.size), before);
    trust.compare(&opened, line, report);
}
