//! Where content breaks a schema, without a word of the content.

use std::collections::BTreeSet;
use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;

use super::shorten;
use crate::domain::field_path::escape;

/// The most characters of a name that is shown.
const NAME_MAX: usize = 128;
/// What stands for a name that the schema does not mention: it may be content.
const UNDECLARED: &str = "*";

/// A place in content that breaks a keyword of the schema. It never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The place, as a JSON Pointer (RFC 6901); with `required`, that of the missing member.
    /// `*` is a member whose name the schema does not mention.
    pub(crate) path: String,
    /// The keyword; [`TOO_COSTLY`] or [`UNTOLD`] where it is none.
    pub(crate) keyword: String,
}

/// Instead of a keyword: the content is too large or too deep to be checked with its schema.
pub(crate) const TOO_COSTLY: &str = "too large or too deep for this schema";
/// Instead of a keyword: the content breaks the schema, and is too large for more to be said.
pub(crate) const UNTOLD: &str = "too large to tell where";

impl Violation {
    /// A violation of the whole.
    pub(super) fn of_all(keyword: &str) -> Self {
        Self { path: String::new(), keyword: keyword.to_owned() }
    }

    /// What the library found, less what it quotes.
    pub(super) fn new(error: &ValidationError<'_>, names: &BTreeSet<String>) -> Self {
        let mut path = String::new();
        for segment in error.instance_path() {
            match segment {
                LocationSegment::Property(name) => push(&mut path, &name, names),
                LocationSegment::Index(index) => {
                    path.push('/');
                    path.push_str(&index.to_string());
                }
            }
        }
        if let ValidationErrorKind::Required { property } = error.kind() {
            push(&mut path, property.as_str().unwrap_or_default(), names);
        }
        let keyword = match error.kind() {
            ValidationErrorKind::FalseSchema => "false",
            kind => kind.keyword(),
        };
        Self { path: shorten(path), keyword: keyword.to_owned() }
    }
}

fn push(path: &mut String, name: &str, names: &BTreeSet<String>) {
    path.push('/');
    let is_shown = names.contains(name) && name.chars().nth(NAME_MAX).is_none();
    path.push_str(&if is_shown { escape(name) } else { UNDECLARED.to_owned() });
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the root" } else { &self.path };
        write!(f, "{path} ({})", self.keyword)
    }
}
