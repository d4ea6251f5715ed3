//! Data keys.

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::seal::body::{self, HEADER_LEN, Opener, Sealer};
use crate::seal::context::{Context, Domain, Part};
use crate::seal::key::Key;
use crate::seal::{SealBroken, SealFailed};

/// The key of one version of a record: it seals one body, whole or in segments.
///
/// A body that is too large for one piece is cut into segments, numbered from 0, all of one size
/// but the last. Each is sealed as a body of its own, with a salt of its own, and opens in its
/// place only: its number, and whether it is the last, are in its associated data. So nothing is
/// missing once the last segment and all before it have opened.
pub struct DataKey {
    pub(super) tenant: Uuid,
    pub(super) subject: Uuid,
    pub(super) record: Uuid,
    pub(super) version: i64,
    pub(super) id: Uuid,
    pub(super) key: Key,
}

impl DataKey {
    /// A new key for a version of a record. The subject's key, which wraps it, may come later.
    pub fn random(
        tenant: Uuid,
        subject: Uuid,
        record: Uuid,
        version: i64,
        id: Uuid,
    ) -> Result<Self, SealFailed> {
        Ok(Self { tenant, subject, record, version, id, key: Key::random()? })
    }

    /// Seals a body that is in memory.
    pub fn seal(&self, content_type: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
        body::seal(&self.key, &self.context(Part::Whole, content_type), plaintext)
    }

    /// Opens a body that is in memory.
    pub fn open(
        &self,
        content_type: &str,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
        body::open(&self.key, &self.context(Part::Whole, content_type), ciphertext)
    }

    /// Seals a body as it arrives.
    pub fn sealer(&self, content_type: &str) -> Result<Sealer, SealFailed> {
        Sealer::new(&self.key, &self.context(Part::Whole, content_type))
    }

    /// Opens a body in chunks.
    pub fn opener(
        &self,
        content_type: &str,
        header: &[u8; HEADER_LEN],
        ciphertext_len: u64,
    ) -> Result<Opener, SealBroken> {
        let context = self.context(Part::Whole, content_type);
        Opener::new(&self.key, &context, header, ciphertext_len)
    }

    /// Seals a segment that is in memory.
    pub fn seal_segment(
        &self,
        content_type: &str,
        number: u32,
        is_last: bool,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealFailed> {
        let part = Part::Segment { number, is_last };
        body::seal(&self.key, &self.context(part, content_type), plaintext)
    }

    /// Opens a segment that is in memory.
    pub fn open_segment(
        &self,
        content_type: &str,
        number: u32,
        is_last: bool,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
        let part = Part::Segment { number, is_last };
        body::open(&self.key, &self.context(part, content_type), ciphertext)
    }

    /// Opens a segment in chunks.
    pub fn segment_opener(
        &self,
        content_type: &str,
        number: u32,
        is_last: bool,
        header: &[u8; HEADER_LEN],
        ciphertext_len: u64,
    ) -> Result<Opener, SealBroken> {
        let context = self.context(Part::Segment { number, is_last }, content_type);
        Opener::new(&self.key, &context, header, ciphertext_len)
    }

    fn context(&self, part: Part, content_type: &str) -> Context {
        let context = Context::new(Domain::Body).id(self.tenant).id(self.subject);
        let context = context.id(self.record).number(self.version).bytes(&part.to_bytes());
        context.bytes(content_type.as_bytes()).id(self.id)
    }
}
