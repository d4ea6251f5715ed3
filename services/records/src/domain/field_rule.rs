//! What a record type says of fields: how sensitive they are, and whether they can be looked up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::field::{self, At as _, Decoded, invalid};

use super::field_path::FieldPath;
use super::normalise::Normalisation;

/// The most fields that a record type may declare.
pub(crate) const RULES_MAX: usize = 64;
/// The most indexes that a record type may have.
pub(crate) const INDEXES_MAX: usize = 16;
/// The most characters of the name of an index.
pub(crate) const INDEX_NAME_MAX: usize = 64;
/// The fewest bits of an index: fewer find nothing but chance.
pub(crate) const INDEX_BITS_MIN: u16 = 8;
/// The most bits of an index: no two values meet in 128.
pub(crate) const INDEX_BITS_MAX: u16 = 128;

/// How sensitive a value is, and so how it is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Sensitivity {
    /// Shown in masked views.
    Harmless,
    /// Tells who somebody is.
    Pii,
    /// Tells of somebody's health.
    Phi,
    /// The number of a card: masked views show the last four digits.
    Pan,
    /// A secret, such as a password.
    Secret,
}

/// Look-up by the value of a field, without the value in the index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Index {
    /// What callers name it by. Several fields may share one index: home and work phone.
    pub(crate) name: String,
    /// How many bits of the keyed hash are kept, 8 to 128. Fewer give false matches, and so hide
    /// how often a common value occurs.
    pub(crate) bits: u16,
    /// Which values are the same.
    pub(crate) normalisation: Normalisation,
}

/// What a record type says of the values at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FieldRule {
    /// Which values: strings, numbers, booleans and nulls right at this path. What stands deeper
    /// has rules of its own.
    pub(crate) path: FieldPath,
    /// How sensitive they are.
    pub(crate) sensitivity: Sensitivity,
    /// How they are looked up, where they can be.
    pub(crate) index: Option<Index>,
}

impl Index {
    /// Checks what a caller declares.
    pub(crate) fn new(name: String, bits: u32, normalisation: Normalisation) -> Decoded<Self> {
        let bits = u16::try_from(bits).ok();
        let bits = bits.filter(|bits| (INDEX_BITS_MIN..=INDEX_BITS_MAX).contains(bits));
        let outside = || invalid(format!("must be {INDEX_BITS_MIN} to {INDEX_BITS_MAX}"));
        Ok(Self {
            name: field::kebab(name, INDEX_NAME_MAX).at("name")?,
            bits: bits.ok_or_else(outside).at("bits")?,
            normalisation,
        })
    }
}

/// Whether rules can stand together. No two have the same path, so that of those that meet at a
/// value one is always the most specific. Fields that share an index agree about it.
pub(super) fn check(rules: &[FieldRule]) -> Decoded<()> {
    if rules.len() > RULES_MAX {
        return Err(invalid(format!("must be at most {RULES_MAX} fields")));
    }
    let mut paths = BTreeSet::new();
    let mut indexes = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        if !paths.insert(&rule.path) {
            return Err(invalid("is declared before")).at("path").at_index("", place);
        }
        let Some(index) = &rule.index else { continue };
        if *indexes.entry(&index.name).or_insert(index) != index {
            let sentence = "is the name of an index with other bits or another normalisation";
            return Err(invalid(sentence)).at("index.name").at_index("", place);
        }
    }
    if indexes.len() > INDEXES_MAX {
        return Err(invalid(format!("must have at most {INDEXES_MAX} indexes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, index: Option<(&str, u32)>) -> FieldRule {
        let index = index
            .map(|(name, bits)| Index::new(name.to_owned(), bits, Normalisation::Exact).unwrap());
        let path = FieldPath::parse(path).unwrap();
        FieldRule { path, sensitivity: Sensitivity::Pii, index }
    }

    fn refused(rules: &[FieldRule]) -> Option<(String, String)> {
        let problem = check(rules).at("fields").err()?;
        Some((problem.field.unwrap_or_default(), problem.message))
    }

    #[test]
    fn two_rules_do_not_have_one_path() {
        let rules = [rule("/a", None), rule("/*", None), rule("/a", None)];
        let (field, message) = refused(&rules).unwrap();
        assert_eq!((field.as_str(), message.as_str()), ("fields[2].path", "is declared before"));
        assert_eq!(refused(&rules[..2]), None);
    }

    #[test]
    fn fields_that_share_an_index_agree_about_it() {
        let home = rule("/home", Some(("phone", 64)));
        assert_eq!(refused(&[home.clone(), rule("/work", Some(("phone", 64)))]), None);
        let (field, _) = refused(&[home, rule("/work", Some(("phone", 32)))]).unwrap();
        assert_eq!(field, "fields[1].index.name");
    }

    #[test]
    fn rules_and_indexes_are_limited() {
        let many = |count: usize, index: bool| {
            let names = (0..count).map(|i| (format!("/f{i}"), format!("i{i}")));
            names.map(|(path, name)| rule(&path, index.then_some((&name, 8)))).collect::<Vec<_>>()
        };
        assert_eq!(refused(&many(RULES_MAX, false)), None);
        assert!(refused(&many(RULES_MAX + 1, false)).is_some());
        assert_eq!(refused(&many(INDEXES_MAX, true)), None);
        assert!(refused(&many(INDEXES_MAX + 1, true)).is_some());
        for (name, bits) in [("", 8), ("E-Mail", 8), ("email", 7), ("email", 129)] {
            assert!(Index::new(name.to_owned(), bits, Normalisation::Email).is_err(), "{name}");
        }
    }
}
