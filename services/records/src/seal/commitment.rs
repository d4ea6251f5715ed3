//! Salted commitments to plaintext: what a public log may hold of a body.
//!
//! The commitment is HMAC-SHA-256 (RFC 2104) of the content under a random salt of 32 bytes. It
//! binds, because no two pairs of salt and content with one commitment can be found, and it hides,
//! because the salt is kept wrapped under the subject's key: where content has little entropy, a
//! salt in clear would let anybody guess it. Sealing a body anew keeps salt and commitment;
//! destroying the subject's key destroys the salt, and the commitment says nothing more.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::{Key, SealBroken};

/// Bytes of a commitment.
pub const COMMITMENT_LEN: usize = 32;

/// The salt of a commitment, as secret as a key.
pub type Salt = Key;

/// Commits to `content` under `salt`.
pub fn commit(salt: &Salt, content: &[u8]) -> [u8; COMMITMENT_LEN] {
    let mut committing = Committing::new(salt);
    committing.update(content);
    committing.finish()
}

/// Whether `commitment` is the one to `content` under `salt`.
pub fn verify(salt: &Salt, content: &[u8], commitment: &[u8]) -> Result<(), SealBroken> {
    let mut committing = Committing::new(salt);
    committing.update(content);
    committing.verify(commitment)
}

/// Commits to content as it streams by. It keeps none of it.
pub struct Committing(hmac::Context);

impl Committing {
    /// Starts a commitment under `salt`.
    pub fn new(salt: &Salt) -> Self {
        Self(hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt.expose())))
    }

    /// Takes in the next of the content, of any length.
    pub fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// The commitment to all that was taken in.
    pub fn finish(self) -> [u8; COMMITMENT_LEN] {
        let tag = self.0.sign();
        let mut commitment = [0; COMMITMENT_LEN];
        commitment.copy_from_slice(tag.as_ref());
        commitment
    }

    /// Whether `commitment` is the one to all that was taken in.
    pub fn verify(self, commitment: &[u8]) -> Result<(), SealBroken> {
        verify_slices_are_equal(&self.finish(), commitment).map_err(|_| SealBroken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn depends_on_salt_and_content() {
        let (salt, other) = (Salt::random().unwrap(), Salt::random().unwrap());
        let commitment = commit(&salt, b"content");
        assert!(verify(&salt, b"content", &commitment).is_ok());
        assert!(verify(&salt, b"contents", &commitment).is_err());
        assert!(verify(&other, b"content", &commitment).is_err());
        assert!(verify(&salt, b"content", &commitment[..31]).is_err());
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_commitment(pieces: Vec<Vec<u8>>) {
            let salt = Salt::random().unwrap();
            let commitment = commit(&salt, &pieces.concat());
            let mut committing = Committing::new(&salt);
            for piece in &pieces {
                committing.update(piece);
            }
            prop_assert!(committing.verify(&commitment).is_ok());
        }
    }
}
