//! The arithmetic of the tree (RFC 6962 2.1). Nothing in here needs more than what it is given.

use tlog_tiles::tlog;

/// SHA-256.
pub type Hash = [u8; 32];

/// A tree of more levels than this cannot be.
pub(super) const PROOF_MAX: usize = 64;

/// The hash of a leaf (RFC 6962 2.1): SHA-256 of a zero byte and the data.
pub fn leaf_hash(data: &str) -> Hash {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&[0]);
    context.update(data.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Whether the leaf with this hash is in the log of this size and root, at this index.
pub fn check_inclusion(leaf: Hash, index: u64, size: u64, root: Hash, proof: &[Hash]) -> bool {
    let (leaf, root) = (tlog::Hash(leaf), tlog::Hash(root));
    proof.len() <= PROOF_MAX && tlog::check_record(&hashes(proof), size, root, index, leaf).is_ok()
}

/// Whether the log of one size and root is the beginning of the log of another. Every log begins
/// with the empty one.
pub fn check_consistency(from: (u64, Hash), to: (u64, Hash), proof: &[Hash]) -> bool {
    if from.0 == 0 {
        return from.1 == Root::default().finish() && proof.is_empty();
    }
    let ((from, from_root), (to, to_root)) = (from, to);
    let (from_root, to_root) = (tlog::Hash(from_root), tlog::Hash(to_root));
    proof.len() <= PROOF_MAX
        && tlog::check_tree(&hashes(proof), to, to_root, from, from_root).is_ok()
}

fn hashes(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof.iter().map(|hash| tlog::Hash(*hash)).collect()
}

/// The root of a log whose leaves come one by one. It keeps no more than a hash for each level.
#[derive(Debug, Clone, Default)]
pub struct Root {
    size: u64,
    /// The roots of the complete subtrees, the largest first.
    complete: Vec<tlog::Hash>,
}

impl Root {
    /// Takes the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = tlog::Hash(leaf);
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.complete.pop() else { break };
            hash = tlog::node_hash(left, hash);
        }
        self.complete.push(hash);
        self.size += 1;
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first: with the size they are all that it
    /// knows.
    pub fn complete(&self) -> Vec<Hash> {
        self.complete.iter().map(|hash| hash.0).collect()
    }

    /// Goes on from what another one knew; `None` where that cannot be.
    pub fn resume(size: u64, complete: &[Hash]) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()) == Ok(complete.len());
        fits.then(|| Self { size, complete: hashes(complete) })
    }

    /// The root over all leaves until now.
    pub fn finish(&self) -> Hash {
        let join = |right, left: &tlog::Hash| tlog::node_hash(*left, right);
        match self.complete.split_last() {
            Some((last, others)) => others.iter().rev().fold(*last, join).0,
            None => tlog::EMPTY_HASH.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots of the test vectors of Certificate Transparency (google/certificate-transparency,
    /// `merkle_tree_test`), for the first eight of its leaves.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [(usize, &str); 4] = [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];

    #[test]
    fn roots_are_those_of_the_test_vectors() {
        for (size, expected) in ROOTS {
            let mut root = Root::default();
            for leaf in &LEAVES[..size] {
                root.push(leaf_hash(std::str::from_utf8(leaf).unwrap()));
            }
            let expected = u128::from_str_radix(&expected[..32], 16).unwrap();
            let found = u128::from_be_bytes(root.finish()[..16].try_into().unwrap());
            assert_eq!((found, root.size()), (expected, size as u64));
        }
    }

    #[test]
    fn a_proof_that_is_too_long_or_of_nothing_proves_nothing() {
        let (leaf, empty) = (leaf_hash("a"), Root::default().finish());
        assert!(check_inclusion(leaf, 0, 1, leaf, &[]));
        assert!(!check_inclusion(leaf, 0, 1, leaf, &[leaf]));
        assert!(!check_inclusion(leaf, 1, 1, leaf, &[]));
        assert!(!check_inclusion(leaf, 0, 0, leaf, &[]));
        assert!(!check_inclusion(leaf, 0, u64::MAX, leaf, &vec![leaf; 10_000]));
        assert!(check_consistency((0, empty), (1, leaf), &[]));
        assert!(!check_consistency((0, leaf), (1, leaf), &[]));
        assert!(!check_consistency((2, leaf), (1, leaf), &[]));
        assert!(!check_consistency((1, leaf), (u64::MAX, leaf), &vec![leaf; 10_000]));
    }
}
