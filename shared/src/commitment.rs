//! Salted commitments: they prove a text for as long as its salt is kept, and say nothing about it
//! once the salt is gone.

use aws_lc_rs::hmac;

use crate::hex::hex;

/// Bytes of a salt.
const SALT_LENGTH: usize = 16;

/// A commitment to a text, and the salt that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// Random, and erased with the text: then it is empty.
    pub salt: Vec<u8>,
    /// HMAC-SHA-256 of the text under the salt (RFC 2104).
    pub value: Vec<u8>,
}

impl Commitment {
    /// A new commitment. `name` says what the text is, so that one text cannot be taken for
    /// another.
    pub fn new(name: &str, text: &str) -> Self {
        let salt: [u8; SALT_LENGTH] = rand::random();
        Self { value: value(&salt, name, text), salt: salt.to_vec() }
    }

    /// The value in hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.value)
    }

    /// Whether this is the text.
    pub fn opens(&self, name: &str, text: &str) -> bool {
        let expected = value(&self.salt, name, text);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected, &self.value).is_ok()
    }
}

fn value(salt: &[u8], name: &str, text: &str) -> Vec<u8> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    mac.update(&(name.len() as u64).to_be_bytes());
    mac.update(name.as_bytes());
    mac.update(text.as_bytes());
    mac.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_to_one_text_under_one_name() {
        let commitment = Commitment::new("memo", "rent");
        assert!(commitment.opens("memo", "rent"));
        assert!(!commitment.opens("memo", "rents"));
        assert!(!commitment.opens("mem", "orent"));
        assert_ne!(commitment.value, Commitment::new("memo", "rent").value);
    }
}
