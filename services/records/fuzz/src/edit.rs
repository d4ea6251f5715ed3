//! Damage to bytes.

use arbitrary::Arbitrary;

/// One change to bytes. Places beyond the end wrap around.
#[derive(Debug, Arbitrary)]
pub enum Edit {
    /// Other bits in one byte.
    Flip { at: u32, bits: u8 },
    /// Everything from there on is gone.
    Cut { at: u32 },
    /// Some bytes are gone.
    Remove { at: u32, count: u16 },
    /// One byte is new.
    Insert { at: u32, byte: u8 },
    /// Bytes from one place are repeated at another.
    Copy { from: u32, to: u32, count: u16 },
    /// Two bytes, or chunks of a body, change places.
    Swap { one: u32, other: u32, chunks: bool },
    /// More at the end.
    Append { bytes: Vec<u8> },
}

/// Bytes before the first chunk of a body.
const HEADER_LEN: usize = records::seal::body::HEADER_LEN;
/// Bytes of a whole chunk.
const CHUNK_LEN: usize = records::seal::body::SEALED_CHUNK_LEN;

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        // Of a place, of which there is one more than there are bytes.
        let place = |at: u32| at as usize % (length + 1);
        match *self {
            Self::Flip { at, bits } => {
                if let Some(byte) = bytes.get_mut(place(at)) {
                    *byte ^= bits;
                }
            }
            Self::Cut { at } => bytes.truncate(place(at)),
            Self::Remove { at, count } => {
                bytes.drain(place(at)..length.min(place(at) + usize::from(count)));
            }
            Self::Insert { at, byte } => bytes.insert(place(at), byte),
            Self::Copy { from, to, count } => {
                let copied = place(from)..length.min(place(from) + usize::from(count));
                let copied = bytes[copied].to_vec();
                bytes.splice(place(to)..place(to), copied);
            }
            Self::Swap { one, other, chunks: false } => {
                let (one, other) = (place(one), place(other));
                if one.max(other) < length {
                    bytes.swap(one, other);
                }
            }
            Self::Swap { one, other, chunks: true } => swap_chunks(bytes, one, other),
            Self::Append { bytes: ref more } => bytes.extend_from_slice(more),
        }
    }
}

fn swap_chunks(body: &mut [u8], one: u32, other: u32) {
    let Some(chunks) = body.get_mut(HEADER_LEN..) else { return };
    let mut whole: Vec<_> = chunks.chunks_exact_mut(CHUNK_LEN).collect();
    if whole.is_empty() {
        return;
    }
    let (one, other) = (one as usize % whole.len(), other as usize % whole.len());
    if one < other {
        let (left, right) = whole.split_at_mut(other);
        left[one].swap_with_slice(right[0]);
    }
}

/// The bytes after all edits.
pub fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut edited = bytes.to_vec();
    for edit in edits.iter().take(64) {
        edit.apply(&mut edited);
    }
    edited
}
