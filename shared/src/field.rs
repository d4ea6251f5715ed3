//! Decoding of requests: wire types become domain types once, and what does not fit is reported
//! with the dotted path of its field (`entries[2].amount`).

use std::collections::BTreeMap;

use crate::problem::{Problem, Reason};

/// The most labels that a resource may have.
pub const LABELS_MAX: usize = 32;
const LABEL_KEY_MAX: usize = 63;
const LABEL_VALUE_MAX: usize = 256;

/// The result of decoding one field or message.
pub type Decoded<T> = Result<T, Box<Problem>>;

/// A field that is missing or malformed. The sentence goes on from the path: "must be ...".
pub fn invalid(sentence: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Reason::FieldInvalid, sentence).in_field(""))
}

/// Puts the path in front of what went wrong further in.
pub trait At<T> {
    /// The field's name, or its name and index.
    fn at(self, field: &str) -> Decoded<T>;

    /// The element of a repeated field.
    fn at_index(self, field: &str, index: usize) -> Decoded<T>;
}

impl<T, E: Into<Box<Problem>>> At<T> for Result<T, E> {
    fn at(self, field: &str) -> Decoded<T> {
        self.map_err(|error| {
            let mut problem = error.into();
            problem.field = Some(match problem.field.as_deref() {
                None | Some("") => field.to_owned(),
                Some(inner) if inner.starts_with('[') => format!("{field}{inner}"),
                Some(inner) => format!("{field}.{inner}"),
            });
            problem
        })
    }

    fn at_index(self, field: &str, index: usize) -> Decoded<T> {
        if self.is_ok() {
            self
        } else {
            return self.at(&format!("{field}[{index}]"));
        }
        .map_err(Into::into)
    }
}

/// A message field that has to be there.
pub fn required<T>(value: Option<T>) -> Decoded<T> {
    value.ok_or_else(|| invalid("must be given"))
}

/// A text of `min` to `max` characters without control characters.
pub fn text(value: String, min: usize, max: usize) -> Decoded<String> {
    let length = value.chars().count();
    if length < min || length > max {
        return Err(invalid(format!("must have {min} to {max} characters, and has {length}")));
    }
    if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(invalid("must not have control characters"));
    }
    Ok(value)
}

/// A code such as "TOPUP": upper case letters, digits and underscores, 1-64 characters.
pub fn code(value: String) -> Decoded<String> {
    slug(value, 64, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        .map_err(|()| invalid("must be 1 to 64 upper case letters, digits and underscores"))
}

/// A slug such as "kyc-file": lower case letters, digits and dashes, 1 to `max` characters.
pub fn kebab(value: String, max: usize) -> Decoded<String> {
    slug(value, max, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        .map_err(|()| invalid(format!("must be 1 to {max} lower case letters, digits and dashes")))
}

fn slug(value: String, max: usize, allowed: impl Fn(char) -> bool) -> Result<String, ()> {
    let fits = (1..=max).contains(&value.len()) && value.chars().all(allowed);
    if fits { Ok(value) } else { Err(()) }
}

/// The caller's own keys and values, within their limits.
pub fn labels(labels: BTreeMap<String, String>) -> Decoded<BTreeMap<String, String>> {
    if labels.len() > LABELS_MAX {
        return Err(invalid(format!("must be at most {LABELS_MAX} labels")));
    }
    for (key, value) in &labels {
        text(key.clone(), 1, LABEL_KEY_MAX).map_err(|_| invalid("has a key that does not fit"))?;
        text(value.clone(), 0, LABEL_VALUE_MAX).at(key)?;
    }
    Ok(labels)
}

/// A request id: 1-128 characters, empty where the caller gave none.
pub fn request_id(value: String) -> Decoded<Option<String>> {
    if value.is_empty() { Ok(None) } else { text(value, 1, 128).map(Some) }
}

/// The request id of a method that needs one.
pub fn required_request_id(value: String) -> Decoded<String> {
    request_id(value)?.ok_or_else(|| {
        let sentence = "must be given, so that a repeat does not do it twice";
        Box::new(Problem::new(Reason::RequestIdRequired, sentence).in_field(""))
    })
}
