//! Bodies: C2SP chunked encryption, <https://c2sp.org/chunked-encryption>, as Cobblestone-256.
//!
//! ```text
//! salt (24) | commitment (32) | chunk 0 | chunk 1 | .. | last chunk
//! ```
//!
//! HKDF-Expand with SHA-512 makes a key, a base nonce and a 32-byte key commitment from the data
//! key, the salt and the [`Context`]. Each chunk is 16 KiB of content sealed with AES-256-GCM under
//! the base nonce XOR its number; the last one is always shorter, and may be empty, which is what
//! marks the end. So chunks open in any order, and changes, cuts and swaps do not open.

#[cfg(test)]
mod known_answers;
mod open;
mod seal;
#[cfg(test)]
mod tests;

pub use open::{Opener, open};
pub use seal::{Sealer, seal};

use std::ops::Range;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use zeroize::{Zeroize, Zeroizing};

use super::key::KEY_LEN;
use super::{Context, Key, SealBroken, SealFailed};

/// Bytes of content in every chunk but the last, which has fewer.
pub const CHUNK_LEN: usize = 16 * 1024;
/// Bytes of the authentication tag at the end of every chunk.
pub const TAG_LEN: usize = 16;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// Bytes of a sealed chunk that is not the last.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;

const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
/// Above this the key would be worn out.
const MAX_CHUNKS: u64 = 1 << 38;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// Where the chunks of a sealed body lie. Made from its length, which the last chunk vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    last_chunk: u64,
    last_chunk_len: usize,
}

impl Layout {
    /// The layout of a sealed body of `length` bytes. No body has a length that leaves no room for
    /// a last chunk and its tag.
    pub fn of_ciphertext(length: u64) -> Result<Self, SealBroken> {
        let chunks = length.checked_sub(HEADER_LEN as u64).ok_or(SealBroken)?;
        let last_chunk = chunks / SEALED_CHUNK_LEN as u64;
        let rest = usize::try_from(chunks % SEALED_CHUNK_LEN as u64).map_err(|_| SealBroken)?;
        let last_chunk_len = rest.checked_sub(TAG_LEN).ok_or(SealBroken)?;
        (last_chunk < MAX_CHUNKS).then_some(Self { last_chunk, last_chunk_len }).ok_or(SealBroken)
    }

    /// The layout of `length` bytes of content once they are sealed.
    pub fn of_plaintext(length: usize) -> Self {
        Self { last_chunk: (length / CHUNK_LEN) as u64, last_chunk_len: length % CHUNK_LEN }
    }

    /// The number of the last chunk; the first is 0.
    pub fn last_chunk(&self) -> u64 {
        self.last_chunk
    }

    /// Bytes of content.
    pub fn plaintext_len(&self) -> u64 {
        self.last_chunk * CHUNK_LEN as u64 + self.last_chunk_len as u64
    }

    /// Bytes of the sealed body.
    pub fn ciphertext_len(&self) -> u64 {
        HEADER_LEN as u64
            + self.last_chunk * SEALED_CHUNK_LEN as u64
            + (self.last_chunk_len + TAG_LEN) as u64
    }

    /// Where a sealed chunk lies in the sealed body; `None` beyond the last one.
    pub fn chunk(&self, number: u64) -> Option<Range<u64>> {
        if number > self.last_chunk {
            return None;
        }
        let start = HEADER_LEN as u64 + number * SEALED_CHUNK_LEN as u64;
        let end = (start + SEALED_CHUNK_LEN as u64).min(self.ciphertext_len());
        Some(start..end)
    }

    /// The chunks that hold a range of the content, cut to the content's end; empty where the range
    /// holds nothing.
    pub fn chunks_of(&self, plaintext: Range<u64>) -> Range<u64> {
        let end = plaintext.end.min(self.plaintext_len());
        if plaintext.start >= end {
            return 0..0;
        }
        plaintext.start / CHUNK_LEN as u64..(end - 1) / CHUNK_LEN as u64 + 1
    }
}

/// What is derived for one message: the cipher, the base nonce and the key commitment.
struct Message {
    cipher: LessSafeKey,
    base_nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl Message {
    fn derive(key: &Key, context: &Context, salt: &[u8; SALT_LEN]) -> Result<Self, Unspecified> {
        let mut derived = Zeroizing::new([0; Derived::LEN]);
        Prk::new_less_safe(HKDF_SHA512, key.expose())
            .expand(&[INFO, salt, context.as_bytes()], Derived)?
            .fill(&mut *derived)?;
        let (key, rest) = derived.split_at(KEY_LEN);
        let (nonce, rest) = rest.split_at(NONCE_LEN);
        let mut message = Self {
            cipher: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?),
            base_nonce: [0; NONCE_LEN],
            commitment: [0; COMMITMENT_LEN],
        };
        message.base_nonce.copy_from_slice(nonce);
        message.commitment.copy_from_slice(rest);
        Ok(message)
    }

    /// The nonce of a chunk: the base nonce XOR the chunk's number, big-endian.
    fn nonce(&self, chunk: u64) -> Result<Nonce, Unspecified> {
        if chunk >= MAX_CHUNKS {
            return Err(Unspecified);
        }
        let mut nonce = self.base_nonce;
        let number = &mut nonce[NONCE_LEN - size_of::<u64>()..];
        for (byte, counter) in number.iter_mut().zip(chunk.to_be_bytes()) {
            *byte ^= counter;
        }
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Appends a sealed chunk; appends nothing where that fails.
    fn seal_chunk(
        &self,
        number: u64,
        plaintext: &[u8],
        ciphertext: &mut Vec<u8>,
    ) -> Result<(), SealFailed> {
        let nonce = self.nonce(number).map_err(|_| SealFailed)?;
        let start = ciphertext.len();
        ciphertext.extend_from_slice(plaintext);
        let chunk = &mut ciphertext[start..];
        let Ok(tag) = self.cipher.seal_in_place_separate_tag(nonce, Aad::empty(), chunk) else {
            chunk.zeroize();
            ciphertext.truncate(start);
            return Err(SealFailed);
        };
        ciphertext.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Appends the content of a sealed chunk; appends nothing where it is broken.
    fn open_chunk(
        &self,
        number: u64,
        ciphertext: &[u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), SealBroken> {
        let nonce = self.nonce(number).map_err(|_| SealBroken)?;
        let length = ciphertext.len().checked_sub(TAG_LEN).ok_or(SealBroken)?;
        let (chunk, tag) = ciphertext.split_at(length);
        let start = plaintext.len();
        plaintext.resize(start + length, 0);
        let opening = &mut plaintext[start..];
        let opened = self.cipher.open_separate_gather(nonce, Aad::empty(), chunk, tag, opening);
        opened.map_err(|_| {
            plaintext[start..].zeroize();
            plaintext.truncate(start);
            SealBroken
        })
    }
}

/// The length of the derived bytes, as the HKDF of AWS-LC wants it.
struct Derived;

impl Derived {
    const LEN: usize = KEY_LEN + NONCE_LEN + COMMITMENT_LEN;
}

impl KeyType for Derived {
    fn len(&self) -> usize {
        Self::LEN
    }
}
