//! Proofs and signed notes, as a stranger may hand them to a verifier: nothing panics, no edited
//! note says something else than what was signed, and no leaf is proved that is not there.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use shared::transparency::{
    Checkpoint, Hash, LogKey, Root, check_consistency, check_inclusion, generate, leaf_hash,
    open_note, read_note,
};

use crate::edit::{Edit, edited};

/// What one run is about.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    note: &'a str,
    verifier_key: &'a str,
    edits: Vec<Edit>,
    leaves: Vec<&'a str>,
    leaf: &'a str,
    index: u64,
    sizes: [u64; 2],
    roots: [Hash; 2],
    proof: Vec<Hash>,
}

struct Signer {
    verifier_key: String,
    signed: Checkpoint,
    note: String,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let (pem, verifier_key) = generate().unwrap();
    let signed = Checkpoint { origin: "strongroom/log".to_owned(), size: 7, root: [9; 32] };
    let note = LogKey::from_pem(&pem).unwrap().sign(&signed).unwrap();
    Signer { verifier_key, signed, note }
});

fn notes(input: &Input<'_>) {
    let Signer { verifier_key, signed, note } = &*SIGNER;
    // Whether these are read is of no interest, but they must not panic.
    let _ = (read_note(input.note), open_note(input.note, input.verifier_key));
    let _ = open_note(note, input.verifier_key);
    assert!(open_note(input.note, verifier_key).is_err());

    assert_eq!(open_note(note, verifier_key).as_ref().ok(), Some(signed));
    let Ok(edited) = String::from_utf8(edited(note.as_bytes(), &input.edits)) else { return };
    let _ = read_note(&edited);
    if let Ok(opened) = open_note(&edited, verifier_key) {
        assert_eq!(opened, *signed);
    }
}

fn proofs(input: &Input<'_>) {
    let Input { leaves, index, sizes, roots, proof, .. } = input;
    let leaf = leaf_hash(input.leaf);
    let _ = check_inclusion(leaf, *index, sizes[0], roots[0], proof);
    let _ = check_consistency((sizes[0], roots[0]), (sizes[1], roots[1]), proof);

    let mut root = Root::default();
    for leaf in leaves {
        root.push(leaf_hash(leaf));
    }
    if check_inclusion(leaf, *index, root.size(), root.finish(), proof) {
        assert_eq!(usize::try_from(*index).map(|index| leaves.get(index)), Ok(Some(&input.leaf)));
    }
    let resumed = Root::resume(root.size(), &root.complete()).unwrap();
    assert_eq!(resumed.finish(), root.finish());
    if let Some(stranger) = Root::resume(sizes[0], proof) {
        stranger.finish();
    }
}

/// Checks one input.
///
/// # Panics
///
/// Where something does not hold.
pub fn check(input: &Input<'_>) {
    notes(input);
    proofs(input);
}
