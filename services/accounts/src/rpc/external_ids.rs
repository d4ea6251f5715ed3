//! The callers' own ids of resources, by kind.

use std::collections::BTreeMap;

use shared::field::{self, Decoded, invalid};

/// The most that a resource may have.
const IDS_MAX: usize = 16;
const KIND_MAX: usize = 32;
const VALUE_MAX: usize = 128;

/// Reads ids, each with a kind such as "CRM".
pub(super) fn decode(ids: BTreeMap<String, String>) -> Decoded<BTreeMap<String, String>> {
    if ids.len() > IDS_MAX {
        return Err(invalid(format!("must be at most {IDS_MAX}, and are {}", ids.len())));
    }
    ids.into_iter().map(|(kind, value)| Ok((self::kind(kind)?, self::value(value)?))).collect()
}

/// Reads a kind.
pub(super) fn kind(kind: String) -> Decoded<String> {
    match field::code(kind) {
        Ok(kind) if kind.len() <= KIND_MAX => Ok(kind),
        _ => Err(invalid(format!(
            "must have kinds of 1 to {KIND_MAX} upper case letters, digits and underscores"
        ))),
    }
}

/// Reads a value.
pub(super) fn value(value: String) -> Decoded<String> {
    field::text(value, 1, VALUE_MAX)
}
