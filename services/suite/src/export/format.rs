//! The files that are written, and verified offline. Each line has one spelling: without spaces,
//! the fields in this order.

use serde::{Deserialize, Serialize};

/// What an export is called.
pub(crate) const EXPORT: &str = "export/1";
/// What a proof is called.
pub(crate) const PROOF: &str = "proof/1";

/// The first line of an export: behind it is a line for each leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// [`EXPORT`].
    pub(crate) strongroom: String,
    /// Which log.
    pub(crate) origin: String,
    /// How many leaves follow.
    pub(crate) size: u64,
    /// The signed note.
    pub(crate) checkpoint: String,
}

/// A leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafLine {
    /// From 0.
    pub(crate) index: u64,
    /// What is hashed.
    pub(crate) data: String,
    /// In hexadecimal digits.
    pub(crate) hash: String,
}

/// Proves that a leaf is in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proof {
    /// [`PROOF`].
    pub(crate) strongroom: String,
    /// The leaf.
    pub(crate) leaf: LeafLine,
    /// How many leaves the log has.
    pub(crate) tree_size: u64,
    /// The path from the leaf to the root, in base64.
    pub(crate) hashes: Vec<String>,
    /// The signed note.
    pub(crate) checkpoint: String,
}

/// The bytes of hexadecimal digits, in lower case: there is one spelling.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.len().is_multiple_of(2) || !text.bytes().all(is_digit) {
        return None;
    }
    let byte = |place: usize| u8::from_str_radix(text.get(place..place + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
