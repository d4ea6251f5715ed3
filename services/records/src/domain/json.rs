//! JSON content: read before it is sealed.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::masking::Masks;

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

impl From<serde_json::Error> for NoJson {
    fn from(error: serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

/// Whether content of no declared type is JSON that can be masked.
pub(crate) fn check(content: &[u8]) -> Result<(), NoJson> {
    mask(content).map(drop)
}

/// Content of no declared type with every value masked.
pub(crate) fn mask(content: &[u8]) -> Result<Vec<u8>, NoJson> {
    Masks::untyped().apply(content)
}

/// Reads JSON. Of two members of one name, readers disagree which one counts, so that an object
/// that has two is refused (RFC 7493, section 2.3).
pub(crate) fn parse(content: &[u8]) -> Result<Value, NoJson> {
    let mut input = serde_json::Deserializer::from_slice(content);
    let value = Unambiguous.deserialize(&mut input)?;
    input.end()?;
    Ok(value)
}

/// Reads one value.
struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number beyond a double"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = input.next_element_seed(Self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = input.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom("two members of one name"));
            }
            members.insert(name, input.next_value_seed(Self)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// Any JSON, with names that match a regular expression.
    pub(in crate::domain) fn any_json(name: &'static str) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::from),
                btree_map(name, inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(value in any_json("\\PC*")) {
            prop_assert_eq!(parse(&serde_json::to_vec(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(content in vec(any::<u8>(), 0..64)) {
            let json = serde_json::from_slice::<Value>(&content);
            prop_assert_eq!(mask(&content).is_ok(), json.is_ok());
            prop_assert!(json.is_ok() || parse(&content).is_err());
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
            let place = NoJson { line, column };
            assert_eq!(mask(content.as_bytes()).unwrap_err(), place, "{content}");
            assert_eq!(parse(content.as_bytes()).unwrap_err(), place, "{content}");
        }
        assert!(!NoJson { line: 2, column: 3 }.to_string().contains("Jane"));
    }

    #[test]
    fn a_name_stands_once_in_an_object() {
        let twice = b"{\"a\":{\"b\":1,\"c\":2,\"\\u0062\":3}}";
        assert_eq!(parse(twice).unwrap_err().line, 1);
        assert!(parse(b"{\"a\":{\"b\":1},\"b\":{\"b\":2}}").is_ok());
    }
}
