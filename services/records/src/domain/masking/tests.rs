//! Masking, against masking by the book on a parsed value.

use std::cmp::Reverse;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::field_path::{FieldPath, Segment};
use crate::domain::field_rule::FieldRule;
use crate::domain::json::tests::any_json;

fn rule(path: &str, sensitivity: Sensitivity) -> FieldRule {
    FieldRule { path: FieldPath::parse(path).unwrap(), sensitivity, index: None }
}

fn shown(rules: &[FieldRule], names: &[&str], content: &Value) -> Value {
    let masks = Masks::new(Fields::new(rules), names.iter().copied());
    let content = serde_json::to_vec(content).unwrap();
    serde_json::from_slice(&masks.apply(&content).unwrap()).unwrap()
}

/// The sensitivity at a path of names and indexes: of all rules that match, the one which is exact
/// in the leftmost segment where they differ.
fn by_the_book(rules: &[FieldRule], path: &[String]) -> Option<Sensitivity> {
    let matches = |rule: &&FieldRule| {
        let segments = rule.path.segments();
        segments.len() == path.len()
            && segments.iter().zip(path).all(|(segment, name)| match segment {
                Segment::Exact(exact) => exact == name,
                Segment::Any => true,
            })
    };
    let exactness = |rule: &&FieldRule| -> Vec<bool> {
        rule.path.segments().iter().map(|segment| *segment != Segment::Any).collect()
    };
    let best = rules.iter().filter(matches).min_by_key(|rule| Reverse(exactness(rule)));
    best.map(|rule| rule.sensitivity)
}

fn masked(rules: &[FieldRule], names: &[&str], path: &[String], value: &Value) -> Value {
    let deeper = |name: &str, value: &Value| {
        masked(rules, names, &[path, &[name.to_owned()]].concat(), value)
    };
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(index, item)| deeper(&index.to_string(), item)).collect()
        }
        Value::Object(members) => {
            let mentioned = |name: &str| {
                let exact = Segment::Exact(name.to_owned());
                names.contains(&name) || rules.iter().any(|r| r.path.segments().contains(&exact))
            };
            let mut masked = Map::new();
            for (name, value) in members {
                let hidden = masked.keys().filter(|name| name.starts_with('*')).count();
                let shown = if mentioned(name) { name.clone() } else { format!("*{}", hidden + 1) };
                masked.insert(shown, deeper(name, value));
            }
            Value::Object(masked)
        }
        _ => match by_the_book(rules, path) {
            Some(Sensitivity::Harmless) => value.clone(),
            _ => json!("***"),
        },
    }
}

fn any_rules() -> impl Strategy<Value = Vec<FieldRule>> {
    let sensitivity = prop_oneof![Just(Sensitivity::Harmless), Just(Sensitivity::Phi)];
    let path = vec("[abc0-2*]", 1..5).prop_map(|segments| format!("/{}", segments.join("/")));
    vec((path, sensitivity), 1..12).prop_map(|rules| {
        let mut rules: Vec<_> = rules.iter().map(|(path, how)| rule(path, *how)).collect();
        rules.sort_by(|one, other| one.path.cmp(&other.path));
        rules.dedup_by(|one, other| one.path == other.path);
        rules
    })
}

proptest! {
    #[test]
    fn what_is_shown_is_what_the_book_says(value in any_json("[a-e]{1,2}"), rules in any_rules()) {
        prop_assert_eq!(shown(&rules, &["d"], &value), masked(&rules, &["d"], &[], &value));
    }

    #[test]
    fn without_a_type_every_value_is_masked_and_the_names_stay(value in any_json("\\PC*")) {
        let content = serde_json::to_vec(&value).unwrap();
        let masked: Value =
            serde_json::from_slice(&Masks::untyped().apply(&content).unwrap()).unwrap();
        prop_assert_eq!(masked, everything_masked(&value));
    }
}

fn everything_masked(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(everything_masked).collect(),
        Value::Object(members) => {
            let members = members.iter();
            members.map(|(name, value)| (name.clone(), everything_masked(value))).collect()
        }
        _ => json!("***"),
    }
}

#[test]
fn a_card_shows_its_last_four_digits() {
    let rules = [rule("/pan", Sensitivity::Pan)];
    let last_four = json!({"pan": "**** **** **** 1111"});
    for pan in [json!("4111 1111-1111 1111"), json!(4_111_111_111_111_111_u64)] {
        assert_eq!(shown(&rules, &[], &json!({"pan": pan})), last_four);
    }
    let cards = [
        "41111111111",
        "4111111111111111 pin 1234",
        "12345678901234567890",
        "４１１１１１１１１１１１",
    ];
    let others = [json!(4.1e15), json!(-411_111_111_111_i64), json!(true), json!(null)];
    for pan in cards.into_iter().map(Value::from).chain(others) {
        assert_eq!(shown(&rules, &[], &json!({"pan": pan})), json!({"pan": "***"}), "{pan}");
    }
}

#[test]
fn sensitivities_other_than_harmless_are_masked_and_so_is_what_is_deeper() {
    use Sensitivity::{Harmless, Phi, Pii, Secret};
    let content = json!({"a": "1", "b": "2", "c": "3", "d": {"e": "4"}, "f": 5, "g": 0.1});
    let rules = [("/a", Pii), ("/b", Phi), ("/c", Secret), ("/d", Harmless), ("/f", Harmless)];
    let rules = rules.map(|(path, how)| rule(path, how));
    let expected =
        json!({"a": "***", "b": "***", "c": "***", "d": {"e": "***"}, "f": 5, "g": "***"});
    assert_eq!(shown(&rules, &["e", "g"], &content), expected);
}

#[test]
fn names_that_a_type_does_not_mention_may_be_content() {
    let rules = [rule("/phones/*/kind", Sensitivity::Harmless)];
    let content = json!({"phones": {
        "doe@example.com": {"kind": "home", "number": 1},
        "jane@example.com": {"kind": "work", "*1": 2},
    }});
    let expected = json!({"phones": {
        "*1": {"kind": "home", "number": "***"},
        "*2": {"kind": "work", "*1": "***"},
    }});
    assert_eq!(shown(&rules, &["number", "*1"], &content), expected);
}
