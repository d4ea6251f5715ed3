//! Paths of fields in JSON content.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::field::{Decoded, invalid};
use shared::problem::Problem;

/// The most characters of a path.
pub(crate) const PATH_MAX: usize = 256;
/// The most segments of a path.
pub(crate) const SEGMENTS_MAX: usize = 16;
/// The segment that stands for every member or item.
const ANY: &str = "*";

/// One step of a path. What is exact comes before what is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Segment {
    /// The member of this name, or the item at this place.
    Exact(String),
    /// Every member or item.
    Any,
}

/// Where values stand in JSON content: a JSON Pointer (RFC 6901) in which a segment `*` is every
/// member or item. `/contact/*/email`, of 1 to 256 characters and at most 16 segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Decoded<Self> {
        let length = text.chars().count();
        if length > PATH_MAX {
            let sentence = format!("must have at most {PATH_MAX} characters, and has {length}");
            return Err(invalid(sentence));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("must not have control characters"));
        }
        let Some(segments) = text.strip_prefix('/') else {
            return Err(invalid("must begin with a slash, as in /name/family"));
        };
        let segments = segments.split('/').map(segment).collect::<Decoded<Vec<_>>>()?;
        if segments.len() > SEGMENTS_MAX {
            return Err(invalid(format!("must have at most {SEGMENTS_MAX} segments")));
        }
        Ok(Self(segments))
    }

    /// The steps from the root.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }
}

fn segment(text: &str) -> Decoded<Segment> {
    if text == ANY { Ok(Segment::Any) } else { unescape(text).map(Segment::Exact) }
}

/// A reference token as a name: `~1` is a slash and `~0` a tilde (RFC 6901, section 4).
pub(super) fn unescape(token: &str) -> Decoded<String> {
    let mut parts = token.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(invalid("must have ~0 for a tilde and ~1 for a slash in a name")),
        };
        name.push(escaped);
        name.push_str(rest);
    }
    Ok(name)
}

/// A name as a reference token.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl TryFrom<String> for FieldPath {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text).map_err(|problem| *problem)
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Exact(name) => write!(f, "/{}", escape(name)),
            Segment::Any => write!(f, "/{ANY}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_json_pointer_with_wildcards() {
        for text in ["/name/family", "/contact/*/email", "/*", "/", "/a~1b/~0*/0", "/é/**"] {
            assert_eq!(FieldPath::parse(text).unwrap().to_string(), text);
        }
        let path = FieldPath::parse("/a~1b/*/~01").unwrap();
        let exact = |name: &str| Segment::Exact(name.to_owned());
        assert_eq!(path.segments(), [exact("a/b"), Segment::Any, exact("~1")]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let deep = "/a".repeat(SEGMENTS_MAX + 1);
        let long = format!("/{}", "é".repeat(PATH_MAX));
        for text in ["", "name", "$.name", "#/name", "/a~", "/a~2", "/a\nb", &deep, &long] {
            assert!(FieldPath::parse(text).is_err(), "{text}");
        }
        assert!(FieldPath::parse(&deep[2..]).is_ok());
        assert!(FieldPath::parse(&long[..long.len() - 2]).is_ok());
        assert!(serde_json::from_str::<FieldPath>("\"name\"").is_err());
    }
}
