//! Masked views of JSON content: what a record type declares harmless is shown, and nothing else.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::field_rule::Sensitivity;
use super::fields::{Fields, Place};
use super::json::NoJson;

/// What stands for every value that is not declared harmless.
const MASK: &str = "***";
/// What stands for all digits of a card's number but the last four.
const PAN_MASK: &str = "**** **** **** ";
/// The digits of a card's number: of fewer, four would tell too much (ISO/IEC 7812-1 has at most
/// 19).
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// How the content of one record type is masked.
#[derive(Debug)]
pub(crate) struct Masks {
    fields: Fields,
    names: Names,
}

/// Which names of members are shown.
#[derive(Debug)]
enum Names {
    All,
    /// Those that the type mentions. Others may be content, as in a map by email address.
    Declared(BTreeSet<String>),
}

impl Masks {
    /// How content of no declared type is masked: every value is, and no name.
    pub(crate) fn untyped() -> Self {
        Self { fields: Fields::new(&[]), names: Names::All }
    }

    /// How content is masked that has rules or a schema, which mentions these names.
    pub(super) fn new<'s>(fields: Fields, schema: impl Iterator<Item = &'s str>) -> Self {
        // A name that looks like a masked one would be taken for it.
        let is_plain = |name: &&str| !name.starts_with('*');
        let mut declared: BTreeSet<_> = schema.filter(is_plain).map(str::to_owned).collect();
        declared.extend(fields.names().filter(is_plain).map(str::to_owned));
        Self { names: Names::Declared(declared), fields }
    }

    /// The rules.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The same JSON with its values masked; the lengths of arrays and the number of members stay.
    /// Numbers are shown as a double or a 64-bit integer holds them (RFC 7493).
    pub(crate) fn apply(&self, content: &[u8]) -> Result<Vec<u8>, NoJson> {
        let mut out = Vec::with_capacity(content.len());
        let mut input = serde_json::Deserializer::from_slice(content);
        Masking { masks: self, place: self.fields.root(), out: &mut out }
            .deserialize(&mut input)?;
        input.end()?;
        Ok(out)
    }

    fn shows(&self, name: &str) -> bool {
        match &self.names {
            Names::All => true,
            Names::Declared(names) => names.contains(name),
        }
    }
}

/// Reads one value and writes what is shown of it, without keeping the value.
struct Masking<'m, 'o> {
    masks: &'m Masks,
    place: Place<'m>,
    out: &'o mut Vec<u8>,
}

impl Masking<'_, '_> {
    /// Shows a value that no card's number can be.
    fn leaf<E: de::Error>(self, value: impl Serialize) -> Result<(), E> {
        match self.place.rule().map(|rule| rule.sensitivity) {
            Some(Sensitivity::Harmless) => self.write(value),
            _ => self.write(MASK),
        }
    }

    fn leaf_or_pan<E: de::Error>(self, value: impl Serialize + ToString) -> Result<(), E> {
        match self.place.rule().map(|rule| rule.sensitivity) {
            Some(Sensitivity::Harmless) => self.write(value),
            Some(Sensitivity::Pan) => {
                let masked = last_four(&value.to_string()).map(|last| format!("{PAN_MASK}{last}"));
                self.write(masked.as_deref().unwrap_or(MASK))
            }
            _ => self.write(MASK),
        }
    }

    fn write<E: de::Error>(self, value: impl Serialize) -> Result<(), E> {
        serde_json::to_writer(self.out, &value).map_err(de::Error::custom)
    }
}

/// The last four digits of what looks like the number of a card: digits, with spaces and dashes.
fn last_four(text: &str) -> Option<String> {
    let is_separator = |c: char| c == ' ' || c == '-';
    let digits: String = text.chars().filter(|c| !is_separator(*c)).collect();
    let fits = PAN_DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let is_negative = text.starts_with('-');
    (fits && !is_negative).then(|| digits[digits.len() - 4..].to_owned())
}

impl<'de> DeserializeSeed<'de> for Masking<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Masking<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.leaf(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.leaf(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.leaf(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.leaf_or_pan(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.leaf_or_pan(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.leaf_or_pan(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { masks, place, out } = self;
        out.push(b'[');
        for index in 0.. {
            let item = Item { masks, around: &place, index, out };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { masks, place, out } = self;
        let (mut first, mut hidden) = (true, 0_usize);
        out.push(b'{');
        while let Some(name) = members.next_key::<String>()? {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            if masks.shows(&name) {
                serde_json::to_writer(&mut *out, &name).map_err(de::Error::custom)?;
            } else {
                hidden += 1;
                out.extend_from_slice(format!("\"*{hidden}\"").as_bytes());
            }
            out.push(b':');
            members.next_value_seed(Masking { masks, place: place.member(&name), out })?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// An item of an array, behind a comma unless it is the first.
struct Item<'m, 'p, 'o> {
    masks: &'m Masks,
    around: &'p Place<'m>,
    index: usize,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let Self { masks, around, index, out } = self;
        if index > 0 {
            out.push(b',');
        }
        Masking { masks, place: around.item(index), out }.deserialize(input)
    }
}

#[cfg(test)]
mod tests;
