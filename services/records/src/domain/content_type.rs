//! Media types (RFC 6838).

use std::fmt;

use serde::Serialize;
use shared::field::{Decoded, invalid};

/// A media type without parameters, in lower case: `application/json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ContentType(String);

impl ContentType {
    /// Reads a media type; its case does not matter.
    pub(crate) fn parse(text: &str) -> Decoded<Self> {
        let mut names = text.splitn(2, '/');
        if names.by_ref().all(is_restricted_name) && text.contains('/') {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(invalid("must be a media type without parameters, such as application/json"))
    }

    /// One that was parsed before.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// Whether the content is JSON, by name or by structured suffix (RFC 6839).
    pub(crate) fn is_json(&self) -> bool {
        let subtype = self.0.split_once('/').map_or("", |(_, subtype)| subtype);
        subtype == "json" || subtype.ends_with("+json")
    }

    /// The media type as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `restricted-name` of RFC 6838, section 4.2.
fn is_restricted_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    first && name.len() <= 127 && name.bytes().all(allowed)
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for text in ["application/json", "image/svg+xml", "application/vnd.ms-excel", "a/b"] {
            assert_eq!(ContentType::parse(text).unwrap().as_str(), text);
        }
        let bad = ["", "json", "/json", "text/", "a/b/c", "a b/c", "text/plain; charset=utf-8"];
        let long = format!("a/{}", "b".repeat(128));
        for text in bad.into_iter().chain([long.as_str(), "text/plaïn", "+a/b"]) {
            assert!(ContentType::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_is_known_by_name_and_suffix() {
        for (text, json) in [
            ("Application/JSON", true),
            ("application/fhir+json", true),
            ("application/jsonx", false),
            ("application/json-seq", false),
            ("json/xml", false),
        ] {
            assert_eq!(ContentType::parse(text).unwrap().is_json(), json, "{text}");
        }
    }
}
