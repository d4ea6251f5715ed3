//! Record types, from their declaration to checked content.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::field_path::FieldPath;
use crate::domain::field_rule::{Index, Sensitivity};
use crate::domain::normalise::Normalisation;

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "name": {"type": "object", "properties": {"family": {"type": "string"}},
            "required": ["family"]},
        "contact": {"additionalProperties": {"properties": {"email": {"maxLength": 20}}}}
    },
    "additionalProperties": false
}"#;

fn kyc(content_type: &str, schema: Option<&str>) -> RecordType {
    let email = Index::new("email".to_owned(), 128, Normalisation::Email).unwrap();
    let rule = |path: &str, sensitivity, index| FieldRule {
        path: FieldPath::parse(path).unwrap(),
        sensitivity,
        index,
    };
    RecordType {
        id: "kyc-file".to_owned(),
        content_type: Some(ContentType::parse(content_type).unwrap()),
        schema: schema.map(str::to_owned),
        fields: vec![
            rule("/contact/*/email", Sensitivity::Pii, Some(email)),
            rule("/contact/*/kind", Sensitivity::Harmless, None),
        ],
        retention: None,
        requires_consent: false,
        create_time: Timestamp::from_micros(0),
        update_time: Timestamp::from_micros(0),
        revision: 1,
    }
}

fn check(record_type: &RecordType, content: &[u8]) -> Result<Vec<(String, String)>, String> {
    let compiled = record_type.compile().unwrap();
    let checked = check_content(&compiled, record_type.content_type.as_ref().unwrap(), content);
    let checked = checked.map_err(|misfit| misfit.to_string())?;
    let values = checked.index_values.into_iter();
    Ok(values.map(|found| (found.index, found.value.to_string())).collect())
}

#[test]
fn content_is_checked_masked_and_indexed_at_once() {
    let record_type = kyc("application/json", Some(SCHEMA));
    let content = json!({"contact": {"Jane Doe": {"email": "Jane@Example.com", "kind": "home"}}});
    let content = serde_json::to_vec(&content).unwrap();
    let found = check(&record_type, &content).unwrap();
    assert_eq!(found, [("email".to_owned(), "jane@example.com".to_owned())]);
    let masked = record_type.compile().unwrap().masks().apply(&content).unwrap();
    let expected = json!({"contact": {"*1": {"email": "***", "kind": "home"}}});
    assert_eq!(serde_json::from_slice::<Value>(&masked).unwrap(), expected);
}

#[test]
fn a_misfit_tells_places_and_no_content() {
    let record_type = kyc("application/json", Some(SCHEMA));
    let broken = json!({"name": {}, "contact": {"jane@example.com": {"email": "x".repeat(21)}}});
    let refused = check(&record_type, broken.to_string().as_bytes()).unwrap_err();
    assert!(refused.contains("/contact/*/email (maxLength)"), "{refused}");
    assert!(refused.contains("/name/family (required)"), "{refused}");
    assert!(!refused.contains("jane") && !refused.contains("xx"), "{refused}");
    for content in ["{", "{\"name\":1,\"name\":{}}", ""] {
        assert!(check(&record_type, content.as_bytes()).unwrap_err().contains("line 1"));
    }
    let other = ContentType::parse("text/plain").unwrap();
    let compiled = record_type.compile().unwrap();
    let refused = check_content(&compiled, &other, b"{}").err().unwrap();
    assert_eq!(refused, Misfit::ContentType(record_type.content_type.unwrap()));
}

#[test]
fn what_is_wrong_with_a_type_is_told_by_its_field() {
    let wrong = |record_type: &RecordType| {
        record_type.compile().err().map(|problem| problem.field.unwrap_or_default())
    };
    assert_eq!(wrong(&kyc("application/json", Some(SCHEMA))), None);
    assert_eq!(wrong(&kyc("application/json", Some("{"))).as_deref(), Some("json_schema"));
    assert_eq!(wrong(&kyc("application/pdf", Some(SCHEMA))).as_deref(), Some("json_schema"));
    assert_eq!(wrong(&kyc("application/pdf", None)).as_deref(), Some("fields"));
    let mut twice = kyc("application/json", None);
    twice.fields.push(twice.fields[0].clone());
    assert_eq!(wrong(&twice).as_deref(), Some("fields[2].path"));
    for days in [0, RETENTION_DAYS_MAX + 1] {
        assert!(Retention::new(days, RetainedFrom::CreateTime).is_err());
    }
}

#[test]
fn a_type_without_a_media_type_takes_any_and_declares_nothing_of_it() {
    let mut any = kyc("application/json", Some(SCHEMA));
    any.content_type = None;
    assert_eq!(any.compile().unwrap_err().field.as_deref(), Some("json_schema"));
    any.schema = None;
    assert_eq!(any.compile().unwrap_err().field.as_deref(), Some("fields"));
    any.fields.clear();
    let compiled = any.compile().unwrap();
    let fits = |content_type: &str, content: &[u8]| {
        check_content(&compiled, &ContentType::parse(content_type).unwrap(), content).is_ok()
    };
    assert!(fits("text/plain", b"{") && fits("application/json", b"{}"));
    assert!(!fits("application/json", b"{"));
}

#[test]
fn the_rules_of_indexes_have_one_number_whatever_else_changes() {
    let old = kyc("application/json", Some(SCHEMA));
    let rules = |record_type: &RecordType| record_type.compile().unwrap().rules();
    let mut same = kyc("application/json", None);
    same.fields.reverse();
    same.fields[0].sensitivity = Sensitivity::Pii;
    (same.requires_consent, same.revision) = (true, 2);
    assert_eq!(rules(&old), rules(&same));
    let mut fewer_bits = old.clone();
    fewer_bits.fields[0].index.as_mut().unwrap().bits = 64;
    let mut moved = old.clone();
    moved.fields[0].path = FieldPath::parse("/contact/*/mail").unwrap();
    // An exact path without an index takes its values out of the index.
    let mut less = old.clone();
    let path = FieldPath::parse("/contact/private/email").unwrap();
    less.fields.push(FieldRule { path, sensitivity: Sensitivity::Pii, index: None });
    for other in [fewer_bits, moved, less] {
        assert_ne!(rules(&old), rules(&other));
    }
}

#[test]
fn retention_is_counted_from_what_it_says() {
    let mut record_type = kyc("application/json", None);
    let (created, happened) = (Timestamp::from_micros(5), Timestamp::from_micros(-7));
    let end = |record_type: &RecordType, event_time| {
        let compiled = record_type.compile().unwrap();
        compiled.expire_time(created, event_time).map(Timestamp::micros)
    };
    assert_eq!(end(&record_type, Some(happened)), None);
    record_type.retention = Some(Retention { days: 2, from: RetainedFrom::CreateTime });
    assert_eq!(end(&record_type, Some(happened)), Some(2 * 86_400_000_000 + 5));
    record_type.retention = Some(Retention { days: 2, from: RetainedFrom::EventTime });
    assert_eq!(end(&record_type, Some(happened)), Some(2 * 86_400_000_000 - 7));
    assert_eq!(end(&record_type, None), Some(2 * 86_400_000_000 + 5));
    let late = Timestamp::from_micros(END_OF_TIME - 1);
    assert_eq!(end(&record_type, Some(late)), Some(END_OF_TIME));
}

#[test]
fn content_other_than_json_is_not_looked_into() {
    let mut record_type = kyc("application/pdf", None);
    record_type.fields.clear();
    assert_eq!(check(&record_type, b"%PDF"), Ok(Vec::new()));
}

#[test]
fn a_compiled_type_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: Arc<T>) {}
    shared(Arc::new(kyc("application/json", Some(SCHEMA)).compile().unwrap()));
}
