//! Schemas that are refused, content that is, and the cost of both.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// Far more than any of these may take on a slow machine, and far less than a bomb takes.
const SOON: Duration = Duration::from_secs(20);

fn parse(schema: &Value) -> Result<Schema, SchemaError> {
    let begin = Instant::now();
    let parsed = Schema::parse(schema.to_string().as_bytes());
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    parsed
}

fn problem(schema: &Value) -> String {
    parse(schema).err().map(|error| error.to_string()).unwrap_or_default()
}

fn broken(schema: &Value, content: &Value) -> Vec<String> {
    let schema = parse(schema).unwrap();
    let begin = Instant::now();
    let violations = schema.check(content).err().unwrap_or_default();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    violations.iter().map(ToString::to_string).collect()
}

/// `depth` levels of one member or item around a value.
fn nested(depth: usize, wrap: fn(Value) -> Value) -> Value {
    (0..depth).fold(json!(1), |inner, _| wrap(inner))
}

#[test]
fn a_schema_is_one_closed_document_of_its_dialect() {
    for (schema, expected) in [
        (json!(7), "is no JSON Schema"),
        (json!({"type": "text"}), "(at /type)"),
        (json!({"items": [{}]}), "(at /items)"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "(at /$schema)"),
        (json!({"$ref": "https://example.com/other"}), "must begin with #: "),
        (json!({"$ref": "other.json#/a"}), "must begin with #: "),
        (json!({"$ref": "file:///etc/passwd"}), "must begin with #: "),
        (json!({"$ref": ""}), "must begin with #: "),
        (json!({"$id": "https://a.b/c", "items": {"$ref": "https://a.b/c"}}), "(at /items/$ref)"),
        (json!({"items": {"$dynamicRef": "https://a.b/c#d"}}), "(at /items/$dynamicRef)"),
        (json!({"$defs": {"a": {"$id": "https://a.b/c"}}}), "(at /$defs/a/$id)"),
        (json!({"items": {"$schema": "https://a.b/c"}}), "(at /items/$schema)"),
        (json!({"$ref": "#/$defs/none"}), "refers to no schema"),
        (json!({"$ref": "#none"}), "refers to no schema"),
        (json!({"$ref": "#/const/a", "const": {"a": {"type": "null"}}}), "refers to no schema"),
        (json!({"$ref": "#/other", "other": {}}), "refers to no schema"),
        (json!({"$anchor": "a", "items": {"$dynamicAnchor": "a"}}), "is used twice"),
        (json!({"pattern": "(?=a)b"}), "regular expression"),
        (json!({"pattern": r"(a)\1"}), "regular expression"),
        (json!({"pattern": "("}), "regular expression"),
    ] {
        assert!(problem(&schema).contains(expected), "{schema}: {}", problem(&schema));
    }
    for text in ["", "{", "{}{}", r#"{"type":"null","type":"null"}"#] {
        assert!(Schema::parse(text.as_bytes()).unwrap_err().problem.starts_with("must be JSON"));
    }
}

#[test]
fn references_within_the_document_are_followed() {
    let schema = json!({
        "$schema": DIALECT,
        "$id": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "a": {"$ref": "#/$defs/a~1b%20c"},
            "b": {"$ref": "#named"},
            "c": {"$dynamicRef": "#dyn"},
            "d": {"$ref": "#/properties/a"},
        },
        "$defs": {
            "a/b c": {"type": "string"},
            "n": {"$anchor": "named", "type": "integer"},
            "d": {"$dynamicAnchor": "dyn", "type": "null"},
        },
    });
    assert!(broken(&schema, &json!({"a": "", "b": 1, "c": null, "d": ""})).is_empty());
    let mut violations = broken(&schema, &json!({"a": 1, "b": "", "c": 1, "d": 1}));
    violations.sort();
    assert_eq!(violations, ["/a (type)", "/b (type)", "/c (type)", "/d (type)"]);
}

#[test]
fn violations_tell_places_keywords_and_no_content() {
    let schema = json!({
        "properties": {
            "name": {"required": ["family"]},
            "tags": {"items": {"enum": ["a", "b"]}, "uniqueItems": true},
            "map": {"additionalProperties": {"type": "integer"}, "propertyNames": {"maxLength": 9}},
            "choice": {"oneOf": [{"const": "a"}, {"pattern": "^b"}]},
            "no": false,
        },
        "additionalProperties": false,
    });
    for (content, expected) in [
        (json!({"name": {}}), "/name/family (required)"),
        (json!({"tags": ["a", "secret"]}), "/tags/1 (enum)"),
        (json!({"tags": ["a", "a"]}), "/tags (uniqueItems)"),
        (json!({"map": {"secret": "secret"}}), "/map/* (type)"),
        (json!({"map": {"secret secret": 1}}), "/map (propertyNames)"),
        (json!({"choice": "secret"}), "/choice (oneOf)"),
        (json!({"no": "secret"}), "/no (false)"),
        (json!({"secret": 1}), "the root (additionalProperties)"),
    ] {
        let violations = broken(&schema, &content);
        assert_eq!(violations, [expected]);
    }
    let many: Vec<_> = (0..20).collect();
    assert_eq!(broken(&schema, &json!({"tags": many})).len(), VIOLATIONS_MAX);
}

#[test]
fn formats_are_annotations() {
    assert!(broken(&json!({"format": "email"}), &json!("no address")).is_empty());
}

#[test]
fn large_content_has_its_first_violation_told() {
    let items: Vec<_> = (0..=FOUND_MAX).collect();
    let strings = json!({"items": {"type": "string"}});
    assert_eq!(broken(&strings, &json!(items)), ["/0 (type)"]);
    let choice = json!({"anyOf": [strings, {"items": {"type": "null"}}]});
    assert_eq!(broken(&choice, &json!(items)), [format!("the root ({UNTOLD})")]);
}

#[test]
fn text_depth_and_patterns_are_limited() {
    let long = json!({"title": "x".repeat(SCHEMA_MAX)});
    assert!(problem(&long).contains("bytes"));
    let deep = |depth| {
        nested(depth, |inner| match inner {
            Value::Object(_) => json!({"items": inner}),
            _ => json!({}),
        })
    };
    assert!(problem(&deep(DEPTH_MAX + 2)).contains("deep"), "{}", problem(&deep(DEPTH_MAX + 2)));
    assert_eq!(problem(&deep(DEPTH_MAX - 1)), "");
    let patterns = |count: usize| {
        let patterns = (0..count).map(|index| json!({"pattern": format!("^[a-z]{{{index}}}$")}));
        json!({"anyOf": patterns.collect::<Vec<_>>()})
    };
    assert_eq!(problem(&patterns(PATTERNS_MAX)), "");
    assert!(problem(&patterns(PATTERNS_MAX + 1)).contains("patterns"));
    for huge in [r"^(\p{L}x){1000}$", "((a{100}){100}){100}", "(((((x?){50}){50}){50}){50}){50}"] {
        assert!(!problem(&json!({"pattern": huge})).is_empty(), "{huge}");
    }
    assert_eq!(problem(&json!({"pattern": r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"})), "");
    assert_eq!(problem(&json!({"pattern": r"^[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63})$"})), "");
}

/// Definitions, each of which is made of the next, and the root of the first.
fn chain(length: usize, link: impl Fn(Value) -> Value) -> Value {
    let next = |index: usize| json!({"$ref": format!("#/$defs/d{index}")});
    let defs = (0..length).map(|index| (format!("d{index}"), link(next(index + 1))));
    let mut defs: serde_json::Map<_, _> = defs.collect();
    defs.insert(format!("d{length}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/d0", "$defs": defs})
}

#[test]
fn schemas_that_grow_when_they_are_followed_are_refused() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let doubling = chain(30, |next| json!({keyword: [next, next]}));
        assert!(problem(&doubling).contains("more than"), "{keyword}");
    }
    for unevaluated in ["unevaluatedProperties", "unevaluatedItems"] {
        let again = chain(12, |next| json!({"anyOf": [next], unevaluated: false}));
        assert!(problem(&again).contains("more than"), "{unevaluated}");
    }
    let items = chain(40, |next| json!({"allOf": [{"items": next}, {"items": next}]}));
    assert!(problem(&items).contains("more than"));
    let long = chain(HERE_MAX, |next| next);
    assert!(problem(&long).contains("within each other"));
    let wide = vec![json!(true); APPLIED_MAX + 1];
    assert!(problem(&json!({"items": {"allOf": wide}})).contains("more than"));
    let members =
        |count: usize| (0..count).map(|index| (index.to_string(), json!({"type": "null"})));
    let places: serde_json::Map<_, _> = members(1_500).collect();
    let patterns: Vec<_> = vec![json!({"additionalProperties": {}}); 500];
    assert!(problem(&json!({"properties": places, "allOf": patterns})).contains("more than"));
}

#[test]
fn definitions_that_share_others_are_fine() {
    let schema = chain(200, |next| json!({"properties": {"left": next, "right": next}}));
    let content = nested(100, |inner| json!({"left": inner, "right": "x"}));
    assert!(broken(&schema, &content).is_empty());
    assert_eq!(broken(&schema, &json!({"left": {"right": 1}})), Vec::<String>::new());
}

#[test]
fn recursion_is_allowed_where_it_comes_back_once_to_each_place() {
    let root = json!({"$ref": "#"});
    for recursive in [
        json!({"items": root}),
        json!({"properties": {"left": root, "right": root}, "additionalProperties": false}),
        json!({"properties": {"left": root}, "additionalProperties": root}),
        json!({"prefixItems": [root, root], "items": root}),
        json!({"anyOf": [{"type": "string"}, {"items": root}, {"additionalProperties": root}]}),
        json!({"properties": {"child": root}, "unevaluatedProperties": false}),
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}},
            "b": {"properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/b"}}},
        }}),
    ] {
        assert_eq!(problem(&recursive), "", "{recursive}");
    }
    for exponential in [
        json!({"allOf": [{"items": root}, {"items": root}]}),
        json!({"allOf": [{"items": root}, {"contains": root}]}),
        json!({"allOf": [{"properties": {"a": root}}, {"additionalProperties": root}]}),
        json!({"properties": {"a": root}, "patternProperties": {"^b": root}}),
        json!({"oneOf": [{"properties": {"a": root}}, {"properties": {"a": root}}]}),
        json!({"anyOf": [{"prefixItems": [true, root]}, {"items": root}]}),
        json!({"allOf": [{"items": root}], "unevaluatedItems": false}),
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"x": {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/a"}]}}},
            "b": {"properties": {"x": {"$ref": "#/$defs/a"}}},
        }}),
    ] {
        assert!(problem(&exponential).contains("more than"), "{exponential}");
    }
    for endless in [
        root.clone(),
        json!({"allOf": [root]}),
        json!({"not": {"$ref": "#"}}),
        json!({"if": {"$dynamicRef": "#a"}, "$dynamicAnchor": "a"}),
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"$ref": "#/$defs/b"},
            "b": {"$ref": "#/$defs/a"},
        }}),
    ] {
        assert!(problem(&endless).contains("without end"), "{endless}: {}", problem(&endless));
    }
}

#[test]
fn costly_keywords_are_fast_on_large_content() {
    let numbers: Vec<_> = (0..100_000).collect();
    assert!(broken(&json!({"uniqueItems": true}), &json!(numbers)).is_empty());
    let objects: Vec<_> = (0..30_000).map(|index| json!({"a": index})).collect();
    assert!(broken(&json!({"uniqueItems": true}), &json!(objects)).is_empty());
    let codes: Vec<_> = (0..5_000).map(|index| format!("code{index}")).collect();
    let last: Vec<_> = (0..50_000).map(|_| "code4999").collect();
    assert!(broken(&json!({"items": {"enum": codes}}), &json!(last)).is_empty());
    let unevaluated = json!({
        "anyOf": [{"prefixItems": [true]}, {"contains": {"type": "string"}}],
        "unevaluatedItems": {"type": "integer"},
    });
    assert!(broken(&unevaluated, &json!(numbers)).is_empty());
    let mixed: Vec<_> = (0..6_000).map(|index| json!(f64::from(index) + 0.5)).collect();
    assert!(broken(&json!({"enum": mixed}), &json!(5_999.5)).is_empty());
    let costly = [format!("the root ({TOO_COSTLY})")];
    let many = json!(vec![0.25; 80_000]);
    assert_eq!(broken(&json!({"items": {"enum": mixed}}), &many), costly);
}

#[test]
fn content_that_is_too_much_for_its_schema_is_refused() {
    let costly = [format!("the root ({TOO_COSTLY})")];
    let wide = json!({"items": {"allOf": vec![json!(true); APPLIED_MAX - 1]}});
    assert_eq!(broken(&wide, &json!(vec![0; 100_000])), costly);
    let matching = json!({"allOf": [{"pattern": "a"}, {"pattern": "b"}, {"pattern": "c"}]});
    assert_eq!(broken(&matching, &json!("abc".repeat(500_000))), costly);
    let deep = json!({"items": {"allOf": [{"allOf": [{"allOf": [{"$ref": "#"}]}]}]}});
    assert_eq!(broken(&deep, &nested(120, |inner| json!([inner]))), costly);
}

/// On a test's thread, which has the same stack as a worker.
#[test]
fn the_deepest_check_fits_the_stack() {
    let array = json!({"type": "array", "items": {"$ref": "#"}});
    for in_place in [1, HERE_MAX - 2] {
        let schema = (0..in_place).fold(array.clone(), |inner, _| json!({"anyOf": [inner]}));
        let depth = (NESTED_MAX / (in_place + 2)).min(126) - 1;
        let arrays = |innermost| (0..depth).fold(innermost, |inner, _| json!([inner]));
        assert!(broken(&schema, &arrays(json!([]))).is_empty());
        assert_eq!(broken(&schema, &arrays(json!(1))), ["the root (anyOf)"]);
    }
}

#[test]
fn long_places_are_told_in_part() {
    let name = "n".repeat(PATH_MAX);
    let long = json!({"properties": {&name: {"type": "text"}}});
    assert!(problem(&long).chars().count() < 2 * PATH_MAX);
    let deep = json!({"additionalProperties": {"$ref": "#"}, "type": "object"});
    let content = nested(120, |inner| json!({"secret": inner}));
    let [violation] = <[_; 1]>::try_from(broken(&deep, &content)).unwrap();
    assert!(violation.starts_with("/*/*/*") && violation.ends_with("/*/* (type)"), "{violation}");
}
