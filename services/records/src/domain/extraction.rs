//! What of a record's content goes into blind indexes.

use serde_json::Value;
use zeroize::Zeroizing;

use super::field_path::FieldPath;
use super::fields::{Fields, Place};
use super::normalise::TooLong;

/// The most values of one record that are indexed.
pub(crate) const INDEXED_MAX: usize = 256;

/// A value to be looked up by. It is content: it has no `Debug`, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IndexValue {
    /// The name of the index.
    pub(crate) index: String,
    /// The value in its normal form.
    pub(crate) value: Zeroizing<String>,
}

/// Why a record's values cannot be indexed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotIndexed {
    /// One is too long. The path is the type's own, so that it tells no names of members.
    #[error("has a value at {0} that {TooLong}")]
    TooLong(FieldPath),
    /// There are too many.
    #[error("must have at most {INDEXED_MAX} values that are indexed")]
    TooMany,
}

/// The values to be looked up by, each once, in order. Strings and integers are; nothing else is.
pub(super) fn extract(fields: &Fields, content: &Value) -> Result<Vec<IndexValue>, NotIndexed> {
    let mut found = Vec::new();
    collect(&fields.root(), content, &mut found)?;
    found.sort_by(|one, other| (&one.index, &*one.value).cmp(&(&other.index, &*other.value)));
    Ok(found)
}

fn collect(
    place: &Place<'_>,
    value: &Value,
    found: &mut Vec<IndexValue>,
) -> Result<(), NotIndexed> {
    if place.is_bare() {
        return Ok(());
    }
    match value {
        Value::Object(members) => {
            members.iter().try_for_each(|(name, value)| collect(&place.member(name), value, found))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, value)| collect(&place.item(index), value, found))
        }
        Value::String(text) => add(place, text, found),
        Value::Number(number) if !number.is_f64() => {
            add(place, &Zeroizing::new(number.to_string()), found)
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => Ok(()),
    }
}

fn add(place: &Place<'_>, text: &str, found: &mut Vec<IndexValue>) -> Result<(), NotIndexed> {
    let Some(rule) = place.rule() else { return Ok(()) };
    let Some(index) = &rule.index else { return Ok(()) };
    let form = index.normalisation.apply(text);
    let form = form.map_err(|TooLong| NotIndexed::TooLong(rule.path.clone()))?;
    let value = form.map(|value| IndexValue { index: index.name.clone(), value });
    match value.filter(|value| !found.contains(value)) {
        Some(_) if found.len() == INDEXED_MAX => return Err(NotIndexed::TooMany),
        Some(value) => found.push(value),
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::field_rule::{FieldRule, Index, Sensitivity};
    use crate::domain::normalise::{Normalisation, VALUE_MAX};

    fn fields(rules: &[(&str, Option<&str>)]) -> Fields {
        let rules = rules.iter().map(|(path, index)| FieldRule {
            path: FieldPath::parse(path).unwrap(),
            sensitivity: Sensitivity::Pii,
            index: index
                .map(|name| Index::new(name.to_owned(), 64, Normalisation::CaseFold).unwrap()),
        });
        Fields::new(&rules.collect::<Vec<_>>())
    }

    fn extracted(rules: &[(&str, Option<&str>)], content: &Value) -> Vec<(String, String)> {
        let values = extract(&fields(rules), content).unwrap_or_default();
        values.into_iter().map(|found| (found.index, found.value.to_string())).collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(index, value)| (index.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn strings_and_integers_right_at_a_path_are_found_once() {
        let content = json!({
            "name": {"family": "Doe", "deep": {"family": "no"}},
            "contact": [{"email": "A@b.c"}, {"email": "a@B.c"}, {"email": ["no"]}, {"email": null}],
            "tax": 42, "rate": 4.2, "active": true,
        });
        let rules = [
            ("/name/family", Some("family")),
            ("/contact/*/email", Some("email")),
            ("/tax", Some("tax")),
            ("/rate", Some("rate")),
            ("/active", Some("active")),
        ];
        let expected = pairs([("email", "a@b.c"), ("family", "doe"), ("tax", "42")]);
        assert_eq!(extracted(&rules, &content), expected);
    }

    #[test]
    fn the_most_specific_rule_decides() {
        let content = json!({"a": {"x": "1", "y": "2"}, "b": {"x": "3"}, "c": ["4", "5"]});
        let rules =
            [("/*/x", Some("any")), ("/a/*", Some("a")), ("/a/y", None), ("/c/1", Some("c"))];
        let expected = pairs([("a", "1"), ("any", "3"), ("c", "5")]);
        assert_eq!(extracted(&rules, &content), expected);
    }

    #[test]
    fn what_does_not_fit_an_index_is_refused_by_the_path_of_its_type() {
        let fields = fields(&[("/phones/*", Some("phone"))]);
        let long = json!({"phones": {"jane@example.com": "1".repeat(VALUE_MAX + 1)}});
        let refused = extract(&fields, &long).err().unwrap();
        assert_eq!(refused, NotIndexed::TooLong(FieldPath::parse("/phones/*").unwrap()));
        assert!(!refused.to_string().contains("jane"));
        let phones = |count: usize| json!({"phones": (0..count).collect::<Vec<_>>()});
        assert_eq!(extract(&fields, &phones(INDEXED_MAX)).ok().map(|all| all.len()), Some(256));
        assert_eq!(extract(&fields, &phones(257)).err(), Some(NotIndexed::TooMany));
    }
}
