//! Salted commitments to plaintext: what a public log may hold of a body.
//!
//! The commitment is HMAC-SHA-256 (RFC 2104) of the content under a random salt of 32 bytes. It
//! binds, because no two pairs of salt and content with one commitment can be found, and it hides,
//! because the salt is kept wrapped under the subject's key: where content has little entropy, a
//! salt in clear would let anybody guess it. Sealing a body anew keeps salt and commitment;
//! destroying the subject's key destroys the salt, and the commitment says nothing more.

use aws_lc_rs::hmac;

use super::{Key, SealBroken};

/// Bytes of a commitment.
pub const COMMITMENT_LEN: usize = 32;

/// Commits to `content` under `salt`.
pub fn commit(salt: &Key, content: &[u8]) -> [u8; COMMITMENT_LEN] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.expose());
    let tag = hmac::sign(&key, content);
    let mut commitment = [0; COMMITMENT_LEN];
    commitment.copy_from_slice(tag.as_ref());
    commitment
}

/// Whether `commitment` is the one to `content` under `salt`.
pub fn verify(salt: &Key, content: &[u8], commitment: &[u8]) -> Result<(), SealBroken> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.expose());
    hmac::verify(&key, content, commitment).map_err(|_| SealBroken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_salt_and_content() {
        let (salt, other) = (Key::random().unwrap(), Key::random().unwrap());
        let commitment = commit(&salt, b"content");
        assert!(verify(&salt, b"content", &commitment).is_ok());
        assert!(verify(&salt, b"contents", &commitment).is_err());
        assert!(verify(&other, b"content", &commitment).is_err());
        assert!(verify(&salt, b"content", &commitment[..31]).is_err());
    }
}
