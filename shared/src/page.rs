//! The pages of lists (AIP-158), by keyset: a page begins behind a cursor, which is the place of a
//! resource in the order of the list.
//!
//! A list is fast whatever its filter: it walks along one index, examines a bounded number of
//! candidates and leaves out what the rest of the filter does not let through. A page may therefore
//! be shorter than asked for, or empty, while there is a next one.
//!
//! Tokens are bound by a MAC to the tenant and to all other arguments, so that a token cannot be
//! made up or carried into another query. The cursor in one is not secret: it says no more than
//! where in the list the next page begins, which a caller who may read the list may know.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::field::{At as _, Decoded, invalid};
use crate::problem::{Problem, Reason};
use crate::tenants::TenantKey;

/// The most candidates that one page examines.
pub const EXAMINED_MAX: usize = 2_000;

const TAG_LENGTH: usize = 16;
pub(crate) const SIZE_DEFAULT: usize = 50;
pub(crate) const SIZE_MAX: usize = 1_000;
/// By how much more each look for candidates takes than the one before.
const GROWTH: usize = 8;
/// Kept free in a message for all that is not resources.
pub(crate) const OVERHEAD_BYTES: usize = 4_096;
/// The tag and the length of a resource in its message.
const FRAME_BYTES: usize = 8;

/// A page that is asked for: how many resources, behind which cursor.
#[derive(Debug, Clone)]
pub struct Page<C> {
    /// The most resources that it may have.
    pub size: usize,
    /// Behind which place it begins; none for the first page.
    pub after: Option<C>,
    tokens: Tokens,
}

impl<C: Serialize + DeserializeOwned> Page<C> {
    /// Reads `page_size` and `page_token` of the method `query` (such as "list-accounts"), whose
    /// other arguments decide which resources there are. The size may change on the way: 0 is the
    /// default of 50, and more than 1,000 is 1,000.
    pub fn decode(
        key: &TenantKey,
        query: &str,
        arguments: &impl Serialize,
        page_size: i32,
        page_token: &str,
    ) -> Decoded<Self> {
        let size = usize::try_from(page_size).map_err(|_| invalid("must not be negative"));
        let size = match size.at("page_size")? {
            0 => SIZE_DEFAULT,
            size => size.min(SIZE_MAX),
        };
        let tokens = Tokens::new(key, query, arguments);
        let after = tokens.cursor(page_token).at("page_token")?;
        Ok(Self { size, after, tokens })
    }

    /// How many resources to look for: one more than the page has tells whether there is a next.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The resources of the page and its `next_page_token`: as many of those found as it may have,
    /// and as fit into a message, and at least one.
    pub fn fill<T, M: Message>(
        &self,
        found: Found<T, C>,
        message_bytes_max: usize,
        cursor: impl Fn(&T) -> C,
        encode: impl Fn(T) -> M,
    ) -> (Vec<M>, String) {
        let count = found.items.len();
        let (mut filling, mut end) = (Filling::new(message_bytes_max), None);
        for item in found.items.into_iter().take(self.size) {
            let place = cursor(&item);
            if !filling.takes(encode(item)) {
                break;
            }
            end = Some(place);
        }
        let next = if filling.messages.len() < count { end } else { found.more };
        (filling.messages, self.next(next))
    }

    /// The same for candidates whose resources are still to be loaded. `load` gives a message for
    /// each of some candidates, in their order: for no more than are likely to fit, as `bytes` says
    /// of each, so that little is loaded in vain.
    pub fn load<T, M: Message, E>(
        &self,
        found: Found<T, C>,
        message_bytes_max: usize,
        cursor: impl Fn(&T) -> C,
        bytes: impl Fn(&T) -> usize,
        mut load: impl FnMut(&[T]) -> Result<Vec<M>, E>,
    ) -> Result<(Vec<M>, String), E> {
        let mut rest = &found.items[..found.items.len().min(self.size)];
        let mut filling = Filling::new(message_bytes_max);
        'page: while !rest.is_empty() {
            let mut room_bytes = filling.room_bytes;
            let fits = rest.iter().take_while(|item| {
                let fits = bytes(item) <= room_bytes;
                room_bytes = room_bytes.saturating_sub(bytes(item));
                fits
            });
            let (some, others) = rest.split_at(fits.count().max(1));
            for message in load(some)? {
                if !filling.takes(message) {
                    break 'page;
                }
            }
            rest = others;
        }
        let end = filling.messages.len();
        let next = if end < found.items.len() {
            end.checked_sub(1).map(|last| cursor(&found.items[last]))
        } else {
            found.more
        };
        Ok((filling.messages, self.next(next)))
    }

    fn next(&self, cursor: Option<C>) -> String {
        cursor.map(|cursor| self.tokens.token(&cursor)).unwrap_or_default()
    }
}

/// A message that takes resources for as long as there is room, and at least one.
struct Filling<M> {
    messages: Vec<M>,
    room_bytes: usize,
}

impl<M: Message> Filling<M> {
    fn new(message_bytes_max: usize) -> Self {
        let room_bytes = message_bytes_max.saturating_sub(OVERHEAD_BYTES);
        Self { messages: Vec::new(), room_bytes }
    }

    fn takes(&mut self, message: M) -> bool {
        let bytes = message.encoded_len() + FRAME_BYTES;
        let fits = bytes <= self.room_bytes || self.messages.is_empty();
        if fits {
            self.room_bytes = self.room_bytes.saturating_sub(bytes);
            self.messages.push(message);
        }
        fits
    }
}

/// What a store found for a page, in the order of the list.
#[derive(Debug)]
pub struct Found<T, C> {
    /// What the filter lets through: no more than the page's limit is of use.
    pub items: Vec<T>,
    /// Where it stopped to look, when there may be more behind it.
    more: Option<C>,
}

impl<T, C> Found<T, C> {
    /// All that there is, or as much as the page's limit.
    pub fn all(items: Vec<T>) -> Self {
        Self { items, more: None }
    }

    /// Looks for a page among candidates in the order of the list, until it has as many as the
    /// page's limit, or has examined as many as a page may. `candidates` gives at most that many
    /// behind a place; `keep` is what the index does not know of the filter.
    pub fn among<E>(
        page: &Page<C>,
        mut candidates: impl FnMut(Option<&C>, i64) -> Result<Vec<T>, E>,
        cursor: impl Fn(&T) -> C,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Self, E>
    where
        C: Clone,
    {
        let wanted = page.size + 1;
        let (mut items, mut more, mut examined) = (Vec::new(), page.after.clone(), 0);
        let mut look = wanted;
        loop {
            let some = candidates(more.as_ref(), i64::try_from(look).unwrap_or(i64::MAX))?;
            let is_end = some.len() < look;
            examined += some.len();
            more = some.last().map(&cursor);
            items.extend(some.into_iter().filter(&keep));
            if is_end {
                more = None;
            }
            if is_end || items.len() >= wanted || examined >= EXAMINED_MAX {
                items.truncate(wanted);
                return Ok(Self { items, more });
            }
            look = (look * GROWTH).min(EXAMINED_MAX - examined);
        }
    }
}

/// Makes and reads the tokens of one query.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    key: hmac::Key,
    query: Vec<u8>,
}

impl Tokens {
    pub(crate) fn new(key: &TenantKey, query: &str, arguments: &impl Serialize) -> Self {
        let arguments = serde_json::to_vec(&(query, arguments)).unwrap_or_default();
        Self { key: key.derive("page-token/1"), query: arguments }
    }

    /// The token for what comes after `cursor`.
    pub(crate) fn token(&self, cursor: &impl Serialize) -> String {
        // Cursors are plain data, which always serialise.
        let cursor = serde_json::to_vec(cursor).unwrap_or_default();
        let mut token = self.tag(&cursor).as_ref()[..TAG_LENGTH].to_vec();
        token.extend_from_slice(&cursor);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The cursor of a token; `None` where the token is empty, which asks for the first page.
    pub(crate) fn cursor<C: DeserializeOwned>(&self, token: &str) -> Decoded<Option<C>> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused =
            |sentence| Box::new(Problem::new(Reason::PageTokenInvalid, sentence).in_field(""));
        let foreign =
            || refused("must be the next_page_token of this query, with all else as it was");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let (tag, cursor) = bytes.split_at_checked(TAG_LENGTH).ok_or_else(foreign)?;
        let expected = self.tag(cursor);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG_LENGTH], tag)
            .map_err(|_| foreign())?;
        // The token is one of ours, so another version of this service made it.
        let other = |_| refused("is of another version: begin with the first page");
        serde_json::from_slice(cursor).map(Some).map_err(other)
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
mod tests;
