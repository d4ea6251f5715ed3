//! Sealed bodies and segments, as whoever can write to the store may leave them: nothing panics,
//! and nothing opens but what was sealed.

use arbitrary::Arbitrary;
use records::seal::DataKey;
use uuid::Uuid;

use crate::edit::{Edit, edited};

/// What one run is about.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    stranger: &'a [u8],
    content_type: &'a str,
    length: u16,
    segment: Option<(u32, bool)>,
    claimed_len: u64,
    claimed_len_is_near: bool,
    edits: Vec<Edit>,
}

impl Input<'_> {
    fn seal(&self, key: &DataKey) -> Vec<u8> {
        let content = vec![7; self.length.into()];
        match self.segment {
            Some((number, is_last)) => {
                key.seal_segment(self.content_type, number, is_last, &content).unwrap()
            }
            None => key.seal(self.content_type, &content).unwrap(),
        }
    }

    fn opens(&self, key: &DataKey, sealed: &[u8]) -> bool {
        match self.segment {
            Some((number, is_last)) => {
                key.open_segment(self.content_type, number, is_last, sealed).is_ok()
            }
            None => key.open(self.content_type, sealed).is_ok(),
        }
    }

    /// Any length, or one that is about as long as the body.
    fn claimed_len(&self, sealed: &[u8]) -> u64 {
        match self.claimed_len_is_near {
            true => self.claimed_len % (2 * sealed.len() as u64),
            false => self.claimed_len,
        }
    }

    /// Whether the last chunk, which vouches for the length, opens under the claimed one.
    fn opens_with_len(&self, key: &DataKey, sealed: &[u8], claimed: u64) -> bool {
        let (header, kind) = (sealed.first_chunk().unwrap(), self.content_type);
        let opener = match self.segment {
            Some((number, is_last)) => key.segment_opener(kind, number, is_last, header, claimed),
            None => key.opener(kind, header, claimed),
        };
        let Ok(opener) = opener else { return false };
        let last = opener.layout().last_chunk();
        let place = opener.layout().chunk(last).unwrap();
        let bounds = (usize::try_from(place.start), usize::try_from(place.end));
        let (Ok(start), Ok(end)) = bounds else { return false };
        let chunk = sealed.get(start..end);
        chunk.is_some_and(|chunk| opener.open_chunk(last, chunk, &mut Vec::new()).is_ok())
    }
}

/// Checks one input.
///
/// # Panics
///
/// Where something does not hold.
pub fn check(input: &Input<'_>) {
    let owner = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3), Uuid::from_u128(4)];
    let key = DataKey::random(owner[0], owner[1], owner[2], 1, owner[3]).unwrap();
    assert!(!input.opens(&key, input.stranger));

    let sealed = input.seal(&key);
    let edited = edited(&sealed, &input.edits);
    assert!(input.opens(&key, &sealed));
    assert_eq!(input.opens(&key, &edited), edited == sealed);
    let (claimed, true_len) = (input.claimed_len(&sealed), sealed.len() as u64);
    assert!(input.opens_with_len(&key, &sealed, true_len));
    assert_eq!(input.opens_with_len(&key, &sealed, claimed), claimed == true_len);
}
