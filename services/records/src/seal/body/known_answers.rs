//! Known answers of the Wycheproof project; `doc/c2sp_chunked_encryption.md` there explains them.

use std::io::Read;

use serde::Deserialize;
use sha2::{Digest, Sha512};

use super::tests::{key_of, seal_with_salt};
use super::*;

#[derive(Deserialize)]
struct Vectors {
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    tc_id: u32,
    comment: String,
    key: String,
    ctx: String,
    ct: String,
    msg_length: Option<u64>,
    msg_sha512: Option<String>,
    result: String,
    flags: Vec<String>,
}

#[test]
fn known_answers() {
    let vectors: Vectors = serde_json::from_str(include_str!("wycheproof.json")).unwrap();
    assert_eq!(vectors.tests.len(), 33);
    for vector in vectors.tests {
        vector.check();
    }
}

impl Vector {
    fn check(&self) {
        let name = format!("{} {}", self.tc_id, self.comment);
        let Ok(key) = hex(&self.key).try_into() else {
            assert!(self.flagged("InvalidKeySize"), "{name}");
            return;
        };
        let (key, context) = (key_of(key), Context::raw(hex(&self.ctx)));
        let mut ciphertext = Vec::new();
        flate2::read::ZlibDecoder::new(&hex(&self.ct)[..]).read_to_end(&mut ciphertext).unwrap();
        let opened = open(&key, &context, &ciphertext).ok();
        assert_eq!(opened.is_some(), self.result == "valid", "{name}");
        if let Some(plaintext) = opened {
            self.check_digest(&plaintext);
            let salt = *ciphertext.first_chunk().unwrap();
            assert!(seal_with_salt(&key, &context, salt, &plaintext) == ciphertext, "{name}");
        } else {
            self.check_prefix(&key, &context, &ciphertext);
        }
    }

    /// Chunk by chunk, an invalid body gives its valid prefix and no more, and only where the
    /// vector says so does its length hold.
    fn check_prefix(&self, key: &Key, context: &Context, ciphertext: &[u8]) {
        let Some(header) = ciphertext.first_chunk() else {
            return;
        };
        let Ok(opener) = Opener::new(key, context, header, ciphertext.len() as u64) else {
            let impossible = Layout::of_ciphertext(ciphertext.len() as u64).is_err();
            assert!(impossible || self.flagged("HeaderFailure"), "{}", self.tc_id);
            return;
        };
        let chunk = |number| {
            let place = opener.layout().chunk(number).unwrap();
            let (start, end) = (usize::try_from(place.start), usize::try_from(place.end));
            &ciphertext[start.unwrap()..end.unwrap()]
        };
        let mut prefix = Vec::new();
        let last = opener.layout().last_chunk();
        let open =
            |number, plaintext: &mut Vec<u8>| opener.open_chunk(number, chunk(number), plaintext);
        assert!((0..=last).any(|number| open(number, &mut prefix).is_err()), "{}", self.tc_id);
        if self.flagged("PartialPlaintext") {
            self.check_digest(&prefix);
        }
        assert_eq!(open(last, &mut prefix).is_ok(), self.flagged("ValidFinalChunk"));
    }

    fn check_digest(&self, plaintext: &[u8]) {
        assert_eq!(Some(plaintext.len() as u64), self.msg_length, "{}", self.tc_id);
        let digest = Sha512::digest(plaintext).to_vec();
        assert_eq!(Some(digest), self.msg_sha512.as_deref().map(hex), "{}", self.tc_id);
    }

    fn flagged(&self, flag: &str) -> bool {
        self.flags.iter().any(|name| name == flag)
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> =
        text.bytes().map(|digit| char::from(digit).to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}
