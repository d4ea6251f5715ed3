//! JSON Schema 2020-12: what the content of a record type has to look like.
//!
//! A schema comes from outside and is applied to what comes from outside, so that its cost is
//! bounded before it is used (`places`), and the cost of each check before it runs.

mod document;
mod places;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use shared::field::invalid;
use shared::problem::Problem;

pub(crate) use violation::Violation;
use violation::{TOO_COSTLY, UNTOLD};

use self::document::Document;
use self::places::Cost;
use super::json;

/// The dialect, and the only one.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most bytes of a schema.
pub(crate) const SCHEMA_MAX: usize = 64 * 1024;
/// The deepest that a schema nests.
pub(crate) const DEPTH_MAX: usize = 64;
/// The most sub-schemas that are applied to one value.
pub(crate) const APPLIED_MAX: usize = 1_000;
/// The most sub-schemas that are applied to one value within each other.
pub(crate) const HERE_MAX: usize = 32;
/// The most sub-schemas that are applied at all places together.
pub(crate) const TOTAL_MAX: usize = 10_000;
/// The most patterns that differ.
pub(crate) const PATTERNS_MAX: usize = 64;
/// The most bytes of a compiled pattern, and of what is kept to match it faster.
const PATTERN_SIZE_MAX: usize = 64 * 1024;
/// The most violations that are told.
pub(crate) const VIOLATIONS_MAX: usize = 8;
/// The most that one check may do: values, times sub-schemas at a value.
const WORK_MAX: usize = 20_000_000;
/// The most bytes of texts that one check may match: bytes, times patterns at a value.
const MATCHED_MAX: usize = 2 * 1024 * 1024;
/// The deepest that one check may nest: levels of content, times sub-schemas within each other. A
/// thread's stack of 2 MiB has room for several times that.
const NESTED_MAX: usize = 512;
/// The most violations that one check may find: the library keeps all, with what it found.
const FOUND_MAX: usize = 10_000;

/// The most characters of a place that are told.
const PATH_MAX: usize = 256;

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}{}", if path.is_empty() { String::new() } else { format!(" (at {path})") })]
pub(crate) struct SchemaError {
    /// The place in the schema, as a JSON Pointer (RFC 6901); empty for the whole.
    pub(crate) path: String,
    /// What is wrong there.
    pub(crate) problem: String,
}

/// A schema that is ready to check content.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    names: BTreeSet<String>,
    has_choices: bool,
    cost: Cost,
}

impl Schema {
    /// Reads and compiles a schema. It is closed: it refers to nothing but itself. Formats are
    /// annotations, as the dialect has them by default, and a pattern is a regular expression that
    /// matches in linear time: without look-around and back-references.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_MAX {
            return Err(SchemaError::of_all(format!("must have at most {SCHEMA_MAX} bytes")));
        }
        let mut schema = json::parse(text).map_err(|error| {
            SchemaError::of_all(format!(
                "must be JSON: see line {}, column {}",
                error.line, error.column
            ))
        })?;
        if Size::of(&schema).depth > DEPTH_MAX {
            return Err(SchemaError::of_all(format!("must nest at most {DEPTH_MAX} deep")));
        }
        jsonschema::draft202012::meta::validate(&schema).map_err(|error| refused(&error))?;
        let document = Document::read(&schema)?;
        let cost = places::cost(&document)?;
        // Nothing resolves against it, so that it names the schema for people only.
        schema.as_object_mut().and_then(|keywords| keywords.remove("$id"));
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_SIZE_MAX);
        let validator = jsonschema::draft202012::options()
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|error| refused(&error))?;
        Ok(Self { validator, names: document.names, has_choices: document.has_choices, cost })
    }

    /// Checks content, and gives at most [`VIOLATIONS_MAX`] violations.
    pub(crate) fn check(&self, content: &Value) -> Result<(), Vec<Violation>> {
        let (size, cost) = (Size::of(content), self.cost);
        let work = (size.values + size.text / 64).saturating_mul(cost.applied);
        let matched = size.text.saturating_mul(cost.patterns);
        let nested = size.depth.saturating_mul(cost.nested);
        if work > WORK_MAX || matched > MATCHED_MAX || nested > NESTED_MAX {
            return Err(vec![Violation::of_all(TOO_COSTLY)]);
        }
        if self.validator.is_valid(content) {
            return Ok(());
        }
        let told = |error: &ValidationError<'_>| Violation::new(error, &self.names);
        if size.values.saturating_mul(cost.violations) <= FOUND_MAX {
            let errors = self.validator.iter_errors(content).take(VIOLATIONS_MAX);
            return Err(errors.map(|error| told(&error)).collect());
        }
        // The first is found without the others, unless all branches of a choice have to be told.
        if self.has_choices {
            return Err(vec![Violation::of_all(UNTOLD)]);
        }
        self.validator.validate(content).map_err(|error| vec![told(&error)])
    }

    /// About how much it takes to check content of some bytes.
    pub(super) fn work(&self, bytes: usize) -> usize {
        bytes.saturating_mul(self.cost.applied.max(1))
    }

    /// The names of members that the schema mentions: they are no content.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl SchemaError {
    fn of_all(problem: String) -> Self {
        Self { path: String::new(), problem }
    }
}

impl From<SchemaError> for Box<Problem> {
    fn from(error: SchemaError) -> Self {
        invalid(error.to_string())
    }
}

/// What the meta-schema or the compiler finds, less what it quotes: that may be long.
fn refused(error: &ValidationError<'_>) -> SchemaError {
    let problem = match error.kind() {
        ValidationErrorKind::Format { .. } => {
            "is no regular expression that matches in linear time, or is too large".to_owned()
        }
        kind => format!("is no JSON Schema 2020-12: breaks {}", kind.keyword()),
    };
    SchemaError { path: shorten(error.instance_path().to_string()), problem }
}

/// A place as far as it is told.
fn shorten(path: String) -> String {
    match path.char_indices().nth(PATH_MAX) {
        Some((end, _)) => format!("{}\u{2026}", &path[..end]),
        None => path,
    }
}

/// How large a JSON value is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values in all.
    values: usize,
    /// Bytes of texts and names.
    text: usize,
    /// Levels: 1 without any array or object.
    depth: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 1);
        size
    }

    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Value::String(text) => self.text += text.len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item, depth + 1)),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.text += name.len();
                self.add(value, depth + 1);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
