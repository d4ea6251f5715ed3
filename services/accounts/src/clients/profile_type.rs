//! The type of the records that hold profiles, as this service declares it: what a profile looks
//! like, how it is masked, and by what a customer is found.

use strongroom_proto::records::v1 as records;

use records::field_index::Normalisation;
use records::{FieldIndex, FieldRule, FieldSensitivity};

/// Its id.
pub(crate) const PROFILE_TYPE: &str = "customer-profile";
/// By what a customer is found.
pub(crate) const EMAIL_INDEX: &str = "email";
/// By what a customer is found.
pub(crate) const PHONE_INDEX: &str = "phone";
/// By what a customer is found: `TaxId::key`.
pub(crate) const TAX_ID_INDEX: &str = "tax-id";

/// The document of `Profile`. Members that a later version adds are let through.
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["fullName"],
  "properties": {
    "fullName": {"type": "string", "minLength": 1, "maxLength": 256},
    "birthDate": {"type": "string", "minLength": 10, "maxLength": 10},
    "email": {"type": "string", "maxLength": 254},
    "phone": {"type": "string", "maxLength": 16},
    "addresses": {
      "type": "array",
      "maxItems": 16,
      "items": {
        "type": "object",
        "required": ["country"],
        "properties": {
          "lines": {
            "type": "array",
            "maxItems": 4,
            "items": {"type": "string", "minLength": 1, "maxLength": 256}
          },
          "postalCode": {"type": "string", "maxLength": 32},
          "city": {"type": "string", "maxLength": 128},
          "country": {"type": "string", "minLength": 2, "maxLength": 2}
        }
      }
    },
    "taxIds": {
      "type": "array",
      "maxItems": 16,
      "items": {
        "type": "object",
        "required": ["country", "number", "key"],
        "properties": {
          "country": {"type": "string", "minLength": 2, "maxLength": 2},
          "number": {"type": "string", "minLength": 1, "maxLength": 64},
          "key": {"type": "string", "minLength": 3, "maxLength": 66}
        }
      }
    }
  }
}"#;

/// What declares it: the same for every tenant and at every attempt.
pub(super) fn declaration() -> records::CreateRecordTypeRequest {
    let index = |path: &str, name: &str, normalisation: Normalisation| {
        let name = name.to_owned();
        let index = FieldIndex { name, bits: 0, normalisation: normalisation.into() };
        FieldRule { index: Some(index), ..rule(path) }
    };
    let fields = vec![
        rule("/fullName"),
        rule("/birthDate"),
        index("/email", EMAIL_INDEX, Normalisation::Email),
        index("/phone", PHONE_INDEX, Normalisation::Phone),
        rule("/addresses/*/lines/*"),
        rule("/addresses/*/postalCode"),
        rule("/addresses/*/city"),
        rule("/addresses/*/country"),
        rule("/taxIds/*/country"),
        rule("/taxIds/*/number"),
        index("/taxIds/*/key", TAX_ID_INDEX, Normalisation::Alphanumeric),
    ];
    let record_type = records::RecordType {
        content_type: "application/json".to_owned(),
        json_schema: SCHEMA.to_owned(),
        fields,
        ..records::RecordType::default()
    };
    records::CreateRecordTypeRequest {
        record_type: Some(record_type),
        record_type_id: PROFILE_TYPE.to_owned(),
        request_id: format!("{PROFILE_TYPE}/1"),
        validate_only: false,
    }
}

/// Personal data, as all of a profile is.
fn rule(path: &str) -> FieldRule {
    FieldRule { path: path.to_owned(), sensitivity: FieldSensitivity::Pii.into(), index: None }
}
