//! The files that are written, and verified offline. Each line has one spelling: without spaces,
//! the fields in this order.

use serde::{Deserialize, Serialize};

/// What an export is called.
pub(crate) const EXPORT: &str = "export/1";
/// What a proof is called.
pub(crate) const PROOF: &str = "proof/1";
/// What a line of a report of accesses is called.
pub(crate) const ACCESS: &str = "access/1";
/// What the proof of an erasure is called.
pub(crate) const ERASURE: &str = "erasure/1";

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

/// An access, which proves itself: a report is any number of such lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessLine {
    /// [`ACCESS`].
    pub(crate) strongroom: String,
    /// What is hashed: who saw what, when and what for, with a commitment in place of who.
    pub(crate) leaf: String,
    /// Who.
    pub(crate) principal: String,
    /// What opens the commitment, in hexadecimal digits.
    pub(crate) salt: String,
    /// The way from the leaf to a signed checkpoint (C2SP tlog-proof).
    pub(crate) proof: String,
}

/// Proves that a person was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureLine {
    /// [`ERASURE`].
    pub(crate) strongroom: String,
    /// What was done, as a signed note.
    pub(crate) certificate: String,
    /// The way from the leaf that says so to a signed checkpoint (C2SP tlog-proof, with the leaf).
    pub(crate) proof: String,
}

/// A line of a leaf, cut where its fields are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeafSlices<'a> {
    /// From 0.
    pub(crate) index: u64,
    /// What is hashed, as it is spelled in JSON.
    pub(crate) spelled: &'a str,
    /// In hexadecimal digits, or other characters.
    pub(crate) hash: &'a str,
}

impl<'a> LeafSlices<'a> {
    /// Cuts a line as [`LeafLine`] is written; `None` where it is none, or spelled otherwise. The
    /// data is to be read by [`unescape`], which tells the rest of that.
    pub(crate) fn cut(line: &'a str) -> Option<Self> {
        const BETWEEN: &str = "\",\"hash\":\"";
        const DIGITS: usize = 64;
        let (index, rest) = line.strip_prefix("{\"index\":")?.split_once(",\"data\":\"")?;
        let end = rest.len().checked_sub(BETWEEN.len() + DIGITS + "\"}".len())?;
        let (spelled, end) = rest.split_at_checked(end)?;
        let hash = end.strip_prefix(BETWEEN)?.strip_suffix("\"}")?;
        let is_plain = index == "0" || !index.starts_with(['0', '+']);
        let index = index.parse().ok().filter(|_| is_plain)?;
        let is_text = hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_text.then_some(Self { index, spelled, hash })
    }
}

/// Reads a string of JSON that has no escapes but those of quotes and backslashes; `None` where it
/// has others, or is not spelled as it would be written.
pub(crate) fn unescape(spelled: &str, into: &mut String) -> Option<()> {
    into.clear();
    let (bytes, mut from, mut place) = (spelled.as_bytes(), 0, 0);
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'\\' => {
                if !matches!(bytes.get(place + 1), Some(b'"' | b'\\')) {
                    return None;
                }
                into.push_str(spelled.get(from..place)?);
                // What is escaped stands for itself.
                (from, place) = (place + 1, place + 2);
            }
            b'"' | 0..=0x1f => return None,
            _ => place += 1,
        }
    }
    into.push_str(spelled.get(from..)?);
    Some(())
}

/// Whether these are the hexadecimal digits of a hash, in lower case.
pub(crate) fn spells(digits: &str, hash: &[u8; 32]) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let spelled = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    let (digits, _) = digits.as_bytes().as_chunks::<2>();
    digits.len() == hash.len() && hash.iter().zip(digits).all(|(byte, two)| spelled(byte) == *two)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_as_it_is_written_and_not_otherwise() {
        let hash = "0f".repeat(32);
        for data in ["", "{\"a\":1}", "\\\"\\", "Zürich \u{7f}\u{2028}", "\",\"hash\":\"0"] {
            let line = LeafLine { index: 7, data: data.to_owned(), hash: hash.clone() };
            let line = serde_json::to_string(&line).unwrap();
            let cut = LeafSlices::cut(&line).unwrap();
            let mut read = String::new();
            unescape(cut.spelled, &mut read).unwrap();
            assert_eq!((cut.index, &*read, cut.hash), (7, data, &*hash));
        }
        let line = |index: &str, hash: &str| {
            format!("{{\"index\":{index},\"data\":\"a\",\"hash\":\"{hash}\"}}")
        };
        assert!(LeafSlices::cut(&line("0", &hash)).is_some());
        for (index, hash) in [("00", &*hash), ("+1", &hash), ("", &hash), ("1 ", &hash), ("1", "0")]
        {
            assert_eq!(LeafSlices::cut(&line(index, hash)), None, "{index} {hash}");
        }
        assert_eq!(LeafSlices::cut(&line("1", &"\"".repeat(64))), None);
        // All that serde_json would spell otherwise, or not at all.
        for spelled in ["\\n", "\n", "\\/", "\\u0041", "\"", "a\\", "\\\\\\"] {
            assert_eq!(unescape(spelled, &mut String::new()), None, "{spelled}");
        }
    }

    #[test]
    fn digits_are_those_of_a_hash() {
        let mut hash = [0_u8; 32];
        (0..32_u8).for_each(|place| hash[usize::from(place)] = place.wrapping_mul(37));
        let digits = shared::hex::hex(&hash);
        assert!(spells(&digits, &hash));
        assert!(!spells(&digits.to_uppercase(), &hash));
        assert!(!spells(&digits[1..], &hash) && !spells(&format!("{digits}00"), &hash));
        assert!(!spells("", &hash) && !spells(&digits.replacen('9', "8", 1), &hash));
    }
}
