//! Sealing a body, whole or as it streams in.

use aws_lc_rs::rand;
use zeroize::{Zeroize, Zeroizing};

use super::super::{Context, Key, SealFailed};
use super::{CHUNK_LEN, HEADER_LEN, Layout, Message, SALT_LEN};

/// Seals a body that is in memory, with a fresh salt: bodies under one key have nothing in common.
pub fn seal(key: &Key, context: &Context, plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
    let sealer = Sealer::new(key, context)?;
    let layout = Layout::of_plaintext(plaintext.len());
    let mut ciphertext = Vec::with_capacity(usize::try_from(layout.ciphertext_len()).unwrap_or(0));
    ciphertext.extend_from_slice(sealer.header());
    let mut chunks = plaintext.chunks_exact(CHUNK_LEN);
    for (chunk, number) in (&mut chunks).zip(0..) {
        sealer.message.seal_chunk(number, chunk, &mut ciphertext)?;
    }
    let last = chunks.remainder();
    sealer.message.seal_chunk(layout.last_chunk(), last, &mut ciphertext)?;
    Ok(ciphertext)
}

/// Seals a body as it arrives: first the [`header`](Self::header), then what
/// [`update`](Self::update) and [`finish`](Self::finish) append. It holds less than one chunk.
pub struct Sealer {
    message: Message,
    header: [u8; HEADER_LEN],
    next_chunk: u64,
    pending: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Starts a body with a fresh salt.
    pub fn new(key: &Key, context: &Context) -> Result<Self, SealFailed> {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).map_err(|_| SealFailed)?;
        Self::with_salt(key, context, &salt)
    }

    pub(super) fn with_salt(
        key: &Key,
        context: &Context,
        salt: &[u8; SALT_LEN],
    ) -> Result<Self, SealFailed> {
        let message = Message::derive(key, context, salt).map_err(|_| SealFailed)?;
        let mut header = [0; HEADER_LEN];
        header[..SALT_LEN].copy_from_slice(salt);
        header[SALT_LEN..].copy_from_slice(&message.commitment);
        let pending = Zeroizing::new(Vec::new());
        Ok(Self { message, header, next_chunk: 0, pending })
    }

    /// What comes before the first chunk.
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Takes in content of any length and appends every chunk that is full to `sealed`.
    pub fn update(
        &mut self,
        mut plaintext: &[u8],
        ciphertext: &mut Vec<u8>,
    ) -> Result<(), SealFailed> {
        while self.pending.len() + plaintext.len() >= CHUNK_LEN {
            let (head, rest) = plaintext.split_at(CHUNK_LEN - self.pending.len());
            if self.pending.is_empty() {
                self.message.seal_chunk(self.next_chunk, head, ciphertext)?;
            } else {
                self.pending.extend_from_slice(head);
                self.message.seal_chunk(self.next_chunk, &self.pending, ciphertext)?;
                self.pending.zeroize();
            }
            self.next_chunk += 1;
            plaintext = rest;
        }
        // Room for a whole chunk at once: a buffer that grows would leave copies behind.
        if self.pending.is_empty() {
            self.pending.reserve_exact(CHUNK_LEN);
        }
        self.pending.extend_from_slice(plaintext);
        Ok(())
    }

    /// Appends the last chunk, which is short by definition, and may be empty.
    pub fn finish(self, ciphertext: &mut Vec<u8>) -> Result<(), SealFailed> {
        self.message.seal_chunk(self.next_chunk, &self.pending, ciphertext)
    }
}
