//! A secret key.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::SealFailed;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// 32 secret bytes. They are wiped when dropped, never printed and never copied: a key that two
/// owners need is shared behind an `Arc`. The box keeps moves from leaving copies on the stack.
pub struct Key(Box<Zeroizing<[u8; KEY_LEN]>>);

impl Key {
    /// A new key from the random generator of AWS-LC, which is seeded by the operating system.
    pub fn random() -> Result<Self, SealFailed> {
        Self::fill_with(|bytes| rand::fill(bytes).map_err(|_| SealFailed))
    }

    /// A key that `fill` writes in place.
    pub(super) fn fill_with<E>(
        fill: impl FnOnce(&mut [u8; KEY_LEN]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut key = Self(Box::default());
        fill(&mut key.0)?;
        Ok(key)
    }

    /// The secret itself, for the primitives of this module tree only.
    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_differ() {
        let (one, other) = (Key::random().unwrap(), Key::random().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.expose(), &[0; KEY_LEN]);
    }
}
