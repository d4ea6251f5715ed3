//! Blind indexes: what the store may hold of a value, so that equal values are found.
//!
//! ```text
//! K     = HKDF-SHA-256(index key, no salt, "bidx/v1" | record type | index)
//! token = HMAC-SHA-256(K, 1 | value), its first bits
//! ```
//!
//! The record type, the index and the value are each written as their length (64-bit big-endian)
//! and their bytes. The value is normalised before; the byte 1 stands for the rules of that, and
//! of this. HKDF is RFC 5869, HMAC RFC 2104.
//!
//! A token tells which records have equal values, and how many. Where a field has few distinct
//! values, that is much: fewer bits make different values share a token, and a reader drops what
//! was found in vain once it has opened it ([`bits_advice`]). Tokens of an erased subject are
//! deleted: under the tenant's key they could be computed anew from a guess.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::key::KEY_LEN;
use super::{Key, SealFailed};

/// Fewest bits of a token.
pub const BITS_MIN: u16 = 8;
/// Most bits of a token: with these, values do not collide.
pub const BITS_MAX: u16 = 128;

const INFO: &[u8] = b"bidx/v1";
const FORMAT: u8 = 1;
const MAC_LEN: usize = 32;

/// The key of a tenant's blind indexes, in one version.
pub struct IndexKey {
    version: i32,
    key: Key,
}

impl IndexKey {
    pub(super) fn new(version: i32, key: Key) -> Self {
        Self { version, key }
    }

    /// The version: 1, 2, 3.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// The token of a normalised value in an index of a record type, of 8 to 128 bits. Other
    /// numbers of bits are refused.
    pub fn token(
        &self,
        record_type: &str,
        index: &str,
        bits: u16,
        value: &str,
    ) -> Result<Token, SealFailed> {
        if !(BITS_MIN..=BITS_MAX).contains(&bits) {
            return Err(SealFailed);
        }
        let info = [INFO, &field(record_type), &field(index)];
        let key = Key::fill_with(|key| derive(&[], self.key.expose(), &info, key))?;
        let mac = authenticate(key.expose(), &[&[FORMAT], &field(value)]);
        Ok(Token::first_bits(&mac, bits))
    }
}

/// What stands in the store for a value. Equal values have equal tokens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Vec<u8>);

impl Token {
    /// Whole bytes, of which the last one ends in zeros.
    fn first_bits(mac: &[u8; MAC_LEN], bits: u16) -> Self {
        let mut bytes = mac[..usize::from(bits.div_ceil(8))].to_vec();
        if let (Some(last), rest @ 1..) = (bytes.last_mut(), bits % 8) {
            *last &= u8::MAX << (8 - rest);
        }
        Self(bytes)
    }

    /// The token as it is stored: 1 to 16 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Without its bits: they are about a person.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The fewest and the most bits for a field of `distinct` values, none of which is much more
/// frequent than the others: `2^bits` is above the root of `distinct`, or too much is found in
/// vain, and below half of it, or a token says which value it is (the rule for beacons in the AWS
/// Database Encryption SDK). `None` where there are too few values for 8 bits: such a field is
/// not to be indexed. A unique one is: with 128 bits, because its values tell nothing by how
/// often they occur.
pub fn bits_advice(distinct: u64) -> Option<(u16, u16)> {
    let width = |number: u64| u16::try_from(number.checked_ilog2()?).ok();
    let fewest = (width(distinct)? / 2 + 1).max(BITS_MIN);
    let most = width(distinct - 1)?.checked_sub(1)?;
    (fewest <= most).then_some((fewest, most))
}

/// HKDF (RFC 5869) with SHA-256. An empty salt is as none.
fn derive(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    key: &mut [u8; KEY_LEN],
) -> Result<(), SealFailed> {
    let derived = Salt::new(HKDF_SHA256, salt).extract(secret);
    let filled = derived.expand(info, HKDF_SHA256).and_then(|derived| derived.fill(key));
    filled.map_err(|_| SealFailed)
}

/// HMAC (RFC 2104) with SHA-256 of all parts, one after the other.
fn authenticate(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, key));
    for part in parts {
        mac.update(part);
    }
    let mut tag = [0; MAC_LEN];
    tag.copy_from_slice(mac.sign().as_ref());
    tag
}

fn field(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_be_bytes(), text.as_bytes()].concat()
}
