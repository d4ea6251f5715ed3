//! JSON content: checked before it is sealed, masked before it is shown.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What stands for every value that is not declared harmless.
const MASK: &[u8] = b"\"***\"";

/// Content that is no JSON (RFC 8259), or too deep, or with a number beyond a double (RFC 7493).
/// Only the place is told: what stands there is content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be JSON, as its content type says: see line {line}, column {column}")]
pub(crate) struct NoJson {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The byte in the line, from 1; 0 at the end of the line before.
    pub(crate) column: usize,
}

/// Whether content is JSON that can be masked.
pub(crate) fn check(content: &[u8]) -> Result<(), NoJson> {
    mask(content).map(drop)
}

/// The same JSON with every value masked: members and their names stay, and so do the lengths of
/// arrays. No record type declares a value harmless yet.
pub(crate) fn mask(content: &[u8]) -> Result<Vec<u8>, NoJson> {
    let mut masked = Vec::with_capacity(content.len());
    let mut input = serde_json::Deserializer::from_slice(content);
    let masking = Masking(&mut masked).deserialize(&mut input).and_then(|()| input.end());
    masking.map_err(|error| NoJson { line: error.line(), column: error.column() })?;
    Ok(masked)
}

/// Visits that write the mask in place of whatever value they get.
macro_rules! leaves {
    ($($visit:ident($($value:ty)?)),+ $(,)?) => {$(
        fn $visit<E: de::Error>(self $(, _: $value)?) -> Result<(), E> {
            self.0.extend_from_slice(MASK);
            Ok(())
        }
    )+};
}

/// Reads one value and writes its mask, without keeping the value.
struct Masking<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Masking<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Masking<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    leaves! {
        visit_unit(),
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64),
        visit_str(&str),
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut first = true;
        while items.next_element_seed(Separated(&mut *self.0, &mut first))?.is_some() {}
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let mut first = true;
        while let Some(name) = members.next_key::<String>()? {
            if !std::mem::take(&mut first) {
                self.0.push(b',');
            }
            serde_json::to_writer(&mut *self.0, &name).map_err(de::Error::custom)?;
            self.0.push(b':');
            members.next_value_seed(Masking(&mut *self.0))?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

/// An item of an array, behind a comma unless it is the first.
struct Separated<'a>(&'a mut Vec<u8>, &'a mut bool);

impl<'de> DeserializeSeed<'de> for Separated<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if !std::mem::take(self.1) {
            self.0.push(b',');
        }
        Masking(self.0).deserialize(input)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Masking by the book, on a parsed value.
    fn masked(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(masked).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), masked(value))).collect()
            }
            _ => Value::from("***"),
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::from),
                btree_map("\\PC*", inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_masked_and_the_shape_stays(value in any_json()) {
            let content = serde_json::to_vec(&value).unwrap();
            let shown: Value = serde_json::from_slice(&mask(&content).unwrap()).unwrap();
            prop_assert_eq!(shown, masked(&value));
        }

        #[test]
        fn any_bytes_are_masked_or_refused(content in vec(any::<u8>(), 0..64)) {
            let json = serde_json::from_slice::<Value>(&content);
            prop_assert_eq!(mask(&content).is_ok(), json.is_ok());
        }
    }

    #[test]
    fn no_json_is_refused_by_place() {
        let deep = "[".repeat(200);
        for (content, line, column) in [
            ("", 1, 0),
            ("{\"name\":\n  Jane}", 2, 3),
            ("{} {}", 1, 4),
            ("[1,]", 1, 4),
            ("{\"a\":1,\"b\"}", 1, 11),
            ("[1e999]", 1, 6),
            (deep.as_str(), 1, 128),
        ] {
            assert_eq!(mask(content.as_bytes()).unwrap_err(), NoJson { line, column }, "{content}");
        }
        assert!(!NoJson { line: 2, column: 3 }.to_string().contains("Jane"));
    }
}
