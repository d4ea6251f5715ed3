//! Associated data: to whom and to what a sealed thing belongs.
//!
//! Every field is written as its length (64-bit big-endian) and its bytes, and fields are never
//! joined by a delimiter, so that two different lists of fields never encode alike. The first two
//! fields are the domain and the format version. The lists are final:
//!
//! | domain | fields after the first two |
//! |---|---|
//! | tenant key | tenant, epoch |
//! | subject key | tenant, subject, generation |
//! | data key | tenant, subject, record, version, id of the data key |
//! | commitment salt | tenant, subject, record, version |
//! | body | tenant, subject, record, version, part, content type, id of the data key |
//! | index key | tenant, version |
//!
//! The part of a body that is sealed in one piece is `plaintext`. That of a segment is `segment/`,
//! its number (32-bit big-endian, from 0) and a byte that is 1 for the last segment and else 0.
//!
//! A wrap appends its own format version and the id of the wrapping key ([`super::wrap`]).

use uuid::Uuid;

/// The version of the lists above.
const FORMAT: u8 = 1;

/// What a context is for. A thing sealed in one domain never opens in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A tenant key under a key-encryption key.
    TenantKey,
    /// A subject key under a tenant key.
    SubjectKey,
    /// A data key under a subject key.
    DataKey,
    /// The salt of a commitment under a subject key.
    CommitmentSalt,
    /// A body under a data key.
    Body,
    /// A key for blind indexes under a tenant key.
    IndexKey,
}

impl Domain {
    fn label(self) -> &'static str {
        match self {
            Self::TenantKey => "strongroom.records/tenant-key",
            Self::SubjectKey => "strongroom.records/subject-key",
            Self::DataKey => "strongroom.records/data-key",
            Self::CommitmentSalt => "strongroom.records/commitment-salt",
            Self::Body => "strongroom.records/body",
            Self::IndexKey => "strongroom.records/index-key",
        }
    }
}

/// Which part of a body is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// A segment of it.
    Segment {
        /// Its place: 0, 1, 2.
        number: u32,
        /// Whether none comes after it.
        is_last: bool,
    },
}

impl Part {
    /// The part as a field of a context.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Whole => b"plaintext".to_vec(),
            Self::Segment { number, is_last } => {
                [b"segment/", &number.to_be_bytes()[..], &[u8::from(is_last)]].concat()
            }
        }
    }
}

/// Associated data under construction or in use. It holds identifiers, never secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context(Vec<u8>);

impl Context {
    /// The context of a domain, without an owner yet.
    pub fn new(domain: Domain) -> Self {
        Self(Vec::with_capacity(256)).bytes(domain.label().as_bytes()).bytes(&[FORMAT])
    }

    /// Appends a field of bytes.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    /// Appends a UUID as its 16 bytes.
    #[must_use]
    pub fn id(self, value: Uuid) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Appends a number as 64 bits, big-endian.
    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Any bytes, for known answers.
    #[cfg(test)]
    pub(super) fn raw(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The encoded fields.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn encode(fields: &[Vec<u8>]) -> Context {
        let start = Context::new(Domain::Body);
        fields.iter().fold(start, |context, field| context.bytes(field))
    }

    /// Fields that make collisions likely: few letters, zeros as in lengths, and empty fields.
    fn fields() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(prop_oneof![Just(0), Just(1), Just(8), any::<u8>()], 0..12), 0..6)
    }

    /// The fields of an encoding, read back: an encoding with an inverse has no collisions.
    fn decode(mut encoded: &[u8]) -> Vec<Vec<u8>> {
        let mut fields = Vec::new();
        while let Some((length, rest)) = encoded.split_first_chunk() {
            let (field, rest) =
                rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
            fields.push(field.to_vec());
            encoded = rest;
        }
        assert!(encoded.is_empty());
        fields
    }

    proptest! {
        #[test]
        fn different_fields_never_encode_alike(one in fields(), other in fields()) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
            prop_assert_eq!(&decode(encode(&one).as_bytes())[2..], &one[..]);
        }

        #[test]
        fn a_border_counts(bytes in vec(any::<u8>(), 1..32), at in 0..32usize) {
            let (left, right) = bytes.split_at(at % bytes.len());
            prop_assert_ne!(
                encode(&[left.to_vec(), right.to_vec()]),
                encode(&[bytes.clone(), Vec::new()])
            );
        }
    }

    #[test]
    fn domains_are_separate() {
        assert_ne!(Context::new(Domain::Body), Context::new(Domain::DataKey));
        assert_ne!(Context::new(Domain::SubjectKey), Context::new(Domain::TenantKey));
        assert_ne!(Context::new(Domain::CommitmentSalt), Context::new(Domain::DataKey));
        assert_ne!(Context::new(Domain::IndexKey), Context::new(Domain::SubjectKey));
    }

    #[test]
    fn parts_are_final() {
        assert_eq!(Part::Whole.to_bytes(), b"plaintext");
        let segment = |number, is_last| Part::Segment { number, is_last }.to_bytes();
        assert_eq!(segment(0, false), b"segment/\0\0\0\0\0");
        assert_eq!(segment(0x0102_0304, true), b"segment/\x01\x02\x03\x04\x01");
    }

    #[test]
    fn the_format_is_final() {
        let context = Context::new(Domain::Body).id(Uuid::from_u128(1)).number(2).bytes(b"x");
        let expected = [
            &[0, 0, 0, 0, 0, 0, 0, 23][..],
            b"strongroom.records/body",
            &[0, 0, 0, 0, 0, 0, 0, 1, 1],
            &[0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 1, b'x'],
        ];
        assert_eq!(context.as_bytes(), expected.concat());
    }
}
