//! Associated data: two lists of fields never encode alike, and neither do two parts of a body.

use arbitrary::Arbitrary;
use records::seal::context::{Context, Domain, Part};

/// What one run is about.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    one: Vec<&'a [u8]>,
    other: Vec<&'a [u8]>,
    parts: [Option<(u32, bool)>; 2],
}

fn encode(fields: &[&[u8]]) -> Vec<u8> {
    let start = Context::new(Domain::Body);
    fields.iter().fold(start, |context, field| context.bytes(field)).as_bytes().to_vec()
}

/// The fields, read back from their encoding.
fn decode(mut encoded: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = encoded.split_first_chunk() {
        let (field, rest) = rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
        fields.push(field);
        encoded = rest;
    }
    assert!(encoded.is_empty());
    fields
}

fn part(part: Option<(u32, bool)>) -> Part {
    match part {
        Some((number, is_last)) => Part::Segment { number, is_last },
        None => Part::Whole,
    }
}

/// Checks one input.
///
/// # Panics
///
/// Where something does not hold.
pub fn check(input: &Input<'_>) {
    assert_eq!(encode(&input.one) == encode(&input.other), input.one == input.other);
    assert_eq!(&decode(&encode(&input.one))[2..], &input.one[..]);

    let [one, other] = input.parts.map(part);
    assert_eq!(one.to_bytes() == other.to_bytes(), one == other);
}
