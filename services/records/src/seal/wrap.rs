//! One key sealed under another: AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D).
//!
//! ```text
//! format version (1) | length of the key id (1) | key id | nonce (12) | sealed key (32) | tag (16)
//! ```
//!
//! The key id names the wrapping key, so that opening never tries keys in turn. It, the format
//! version and the owner's [`Context`] are the associated data. A wrapping key may wrap 2^32 keys;
//! a tenant key wraps one per person and a subject key two per record version, far fewer.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::key::KEY_LEN;
use super::{Context, Key, SealBroken, SealFailed};

const FORMAT: u8 = 1;
const TAG_LEN: usize = 16;

/// The name of a wrapping key: 1-64 letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Longest key id in bytes.
    pub const MAX_LEN: usize = 64;

    /// A key id from text; `None` where it is malformed.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let valid = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(text.to_owned()))
    }

    /// The id of a tenant key.
    pub fn epoch(epoch: i32) -> Self {
        Self(format!("epoch-{epoch}"))
    }

    /// The id of a subject key.
    pub fn generation(generation: i32) -> Self {
        Self(format!("generation-{generation}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A wrapped key as it is stored. Without the wrapping key it reveals nothing but its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    key_id: KeyId,
    payload: Vec<u8>,
}

impl Wrapped {
    /// A wrap made elsewhere, such as by a key service, whose own ciphertext is the payload.
    pub fn from_parts(key_id: KeyId, payload: Vec<u8>) -> Self {
        Self { key_id, payload }
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealBroken> {
        let [FORMAT, length, rest @ ..] = bytes else {
            return Err(SealBroken);
        };
        let (key_id, payload) = rest.split_at_checked(usize::from(*length)).ok_or(SealBroken)?;
        let key_id = std::str::from_utf8(key_id).ok().and_then(KeyId::new).ok_or(SealBroken)?;
        Ok(Self::from_parts(key_id, payload.to_vec()))
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let id = self.key_id.as_str().as_bytes();
        // `KeyId` bounds the length far below 256.
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        [&[FORMAT, length], id, &self.payload].concat()
    }

    /// Which key wrapped it.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// What the wrapping key made.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Seals `key` under `by`, whose name is `key_id`, for the owner that `context` names.
pub fn wrap(by: &Key, key_id: &KeyId, key: &Key, context: &Context) -> Result<Wrapped, SealFailed> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| SealFailed)?;
    let (mut sealed, mut tag) = ([0; KEY_LEN], [0; TAG_LEN]);
    cipher(by)
        .map_err(|_| SealFailed)?
        .seal_out_of_place_scatter(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data(context, key_id)),
            key.expose(),
            &mut sealed,
            &[],
            &mut tag,
        )
        .map_err(|_| SealFailed)?;
    let payload = [&nonce[..], &sealed, &tag].concat();
    Ok(Wrapped::from_parts(key_id.clone(), payload))
}

/// Opens what [`wrap`] made under the same key and for the same owner.
pub fn unwrap(by: &Key, wrapped: &Wrapped, context: &Context) -> Result<Key, SealBroken> {
    let (nonce, sealed) = wrapped.payload.split_first_chunk().ok_or(SealBroken)?;
    let (sealed, tag) = sealed.split_first_chunk::<KEY_LEN>().ok_or(SealBroken)?;
    if tag.len() != TAG_LEN {
        return Err(SealBroken);
    }
    Key::fill_with(|key| {
        cipher(by)?
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(associated_data(context, &wrapped.key_id)),
                sealed,
                tag,
                key,
            )
            .map_err(|_| SealBroken)
    })
}

fn cipher(by: &Key) -> Result<LessSafeKey, SealBroken> {
    let key = UnboundKey::new(&AES_256_GCM, by.expose()).map_err(|_| SealBroken)?;
    Ok(LessSafeKey::new(key))
}

fn associated_data(context: &Context, key_id: &KeyId) -> Vec<u8> {
    let context = context.clone().bytes(&[FORMAT]);
    context.bytes(key_id.as_str().as_bytes()).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::context::Domain;
    use super::*;

    fn context(version: i64) -> Context {
        Context::new(Domain::DataKey).number(version)
    }

    fn wrapped() -> (Key, Key, Wrapped) {
        let (by, key) = (Key::random().unwrap(), Key::random().unwrap());
        let wrapped = wrap(&by, &KeyId::epoch(7), &key, &context(1)).unwrap();
        (by, key, wrapped)
    }

    fn reopen(by: &Key, bytes: &[u8], context: &Context) -> Result<Key, SealBroken> {
        unwrap(by, &Wrapped::from_bytes(bytes)?, context)
    }

    #[test]
    fn a_wrap_opens_for_its_owner_only() {
        let (by, key, wrapped) = wrapped();
        assert_eq!(wrapped.key_id().as_str(), "epoch-7");
        let bytes = wrapped.to_bytes();
        assert_eq!(reopen(&by, &bytes, &context(1)).unwrap().expose(), key.expose());
        assert!(reopen(&by, &bytes, &context(2)).is_err());
        assert!(reopen(&Key::random().unwrap(), &bytes, &context(1)).is_err());
    }

    #[test]
    fn a_changed_wrap_never_opens() {
        let (by, _, wrapped) = wrapped();
        let bytes = wrapped.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(reopen(&by, &changed, &context(1)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(reopen(&by, &bytes[..length], &context(1)).is_err(), "{length} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(reopen(&by, &longer, &context(1)).is_err());
    }

    #[test]
    fn nonces_are_fresh() {
        let (by, key, first) = wrapped();
        let second = wrap(&by, &KeyId::epoch(7), &key, &context(1)).unwrap();
        assert_ne!(first.payload()[..NONCE_LEN], second.payload()[..NONCE_LEN]);
        assert_ne!(first.payload()[NONCE_LEN..], second.payload()[NONCE_LEN..]);
    }

    /// The stored form, opened by another implementation from its written definition.
    #[test]
    fn the_format_is_final() {
        use aes_gcm::aead::{Aead, Payload};
        use aes_gcm::{Aes256Gcm, KeyInit};

        let (by, key, wrapped) = wrapped();
        let bytes = wrapped.to_bytes();
        assert_eq!(&bytes[..9], b"\x01\x07epoch-7");
        let mut aad = context(1).as_bytes().to_vec();
        aad.extend_from_slice(b"\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x07epoch-7");
        let payload = Payload { msg: &bytes[21..], aad: &aad };
        let nonce: [u8; NONCE_LEN] = bytes[9..21].try_into().unwrap();
        let cipher = Aes256Gcm::new(&(*by.expose()).into());
        assert_eq!(cipher.decrypt(&nonce.into(), payload).unwrap(), key.expose());
    }

    #[test]
    fn key_ids_are_checked() {
        for text in ["kek-1", "a", "2026.11_22", &"x".repeat(64)] {
            assert_eq!(KeyId::new(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(KeyId::new(text).is_none(), "{text}");
        }
    }
}
