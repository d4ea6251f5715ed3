//! Page tokens (AIP-158): bound by a MAC to the tenant and to all other arguments, so that a token
//! cannot be made up or carried into another query. The cursor in it is not secret: it holds no
//! more than the last resource of the page that the caller has.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::field::{Decoded, invalid};
use crate::problem::{Problem, Reason};
use crate::tenants::TenantKey;

const TAG_LENGTH: usize = 16;
const SIZE_DEFAULT: i32 = 50;
const SIZE_MAX: i32 = 1_000;

/// How many resources a page has: 0 is the default, and more than the limit is the limit.
pub fn size(requested: i32) -> Decoded<i64> {
    match requested {
        0 => Ok(i64::from(SIZE_DEFAULT)),
        1.. => Ok(i64::from(requested.min(SIZE_MAX))),
        _ => Err(invalid("must not be negative")),
    }
}

/// Makes and reads the tokens of one query.
#[derive(Debug)]
pub struct Pages {
    key: hmac::Key,
    query: Vec<u8>,
}

impl Pages {
    /// The tokens of the method `query` (such as "list-accounts") with these arguments.
    pub fn new(key: &TenantKey, query: &str, arguments: &impl Serialize) -> Self {
        let arguments = serde_json::to_vec(&(query, arguments)).unwrap_or_default();
        Self { key: key.derive("page-token/1"), query: arguments }
    }

    /// The token for what comes after `cursor`.
    pub fn token(&self, cursor: &[u8]) -> String {
        let mut token = self.tag(cursor).as_ref()[..TAG_LENGTH].to_vec();
        token.extend_from_slice(cursor);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The cursor of a token; `None` where the token is empty, which asks for the first page.
    pub fn cursor(&self, token: &str) -> Decoded<Option<Vec<u8>>> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused = || {
            let sentence = "must be the next_page_token of this query, with all else as it was";
            Box::new(Problem::new(Reason::PageTokenInvalid, sentence).in_field(""))
        };
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let (tag, cursor) = bytes.split_at_checked(TAG_LENGTH).ok_or_else(refused)?;
        let expected = self.tag(cursor);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG_LENGTH], tag)
            .map_err(|_| refused())?;
        Ok(Some(cursor.to_vec()))
    }

    fn tag(&self, cursor: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&(self.query.len() as u64).to_be_bytes());
        mac.update(&self.query);
        mac.update(cursor);
        mac.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_one_tenant_and_one_query() {
        let (mine, other) = (TenantKey::new([1; 32]), TenantKey::new([2; 32]));
        let pages = Pages::new(&mine, "list-accounts", &"a");
        let token = pages.token(b"cursor");
        assert_eq!(pages.cursor(&token).unwrap().unwrap(), b"cursor");
        for foreign in [
            Pages::new(&other, "list-accounts", &"a"),
            Pages::new(&mine, "list-accounts", &"b"),
            Pages::new(&mine, "list-others", &"a"),
        ] {
            assert_eq!(foreign.cursor(&token).unwrap_err().reason, Reason::PageTokenInvalid);
        }
        for damaged in ["x", "!!", "AAAA", &token[1..]] {
            assert!(pages.cursor(damaged).is_err(), "{damaged}");
        }
    }
}
