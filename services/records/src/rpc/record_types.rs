//! Record types between the wire and the domain.

use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use super::encode;
use crate::domain::content_type::ContentType;
use crate::domain::field_path::FieldPath;
use crate::domain::field_rule::{FieldRule, INDEX_BITS_MAX, Index, RULES_MAX, Sensitivity};
use crate::domain::normalise::Normalisation;
use crate::domain::record_type::{RECORD_TYPE_ID_MAX, RecordType, RetainedFrom, Retention};
use wire::field_index::Normalisation as WireNormalisation;
use wire::retention::Start;

const COLLECTION: &str = "recordTypes/";

/// The resource name of a type.
pub(super) fn name(id: &str) -> String {
    format!("{COLLECTION}{id}")
}

/// Reads the resource name of a type.
pub(super) fn parse_name(name: &str) -> Decoded<String> {
    let id = name.strip_prefix(COLLECTION).and_then(|id| self::id(id.to_owned()).ok());
    id.ok_or_else(|| invalid("must be recordTypes/{id}"))
}

/// Reads the id of a type.
pub(super) fn id(id: String) -> Decoded<String> {
    field::kebab(id, RECORD_TYPE_ID_MAX)
}

/// `RESOURCE_NOT_FOUND` for a type.
pub(super) fn not_found(id: &str) -> Problem {
    Problem::not_found("record type", name(id))
}

/// Reads what is declared of a type. What it declares together is checked where it is compiled.
pub(super) fn decode(kind: wire::RecordType, id: String, now: Timestamp) -> Decoded<RecordType> {
    let content_type = Some(kind.content_type).filter(|text| !text.is_empty());
    let content_type = content_type.as_deref().map(ContentType::parse).transpose();
    Ok(RecordType {
        id,
        content_type: content_type.at("content_type")?,
        schema: Some(kind.json_schema).filter(|text| !text.is_empty()),
        fields: fields(kind.fields)?,
        retention: kind.retention.map(retention).transpose().at("retention")?,
        requires_consent: kind.requires_consent,
        create_time: now,
        update_time: now,
        revision: 1,
    })
}

/// What is asked for by declaring a type.
pub(super) fn declared(kind: &RecordType) -> impl Serialize + use<'_> {
    let RecordType { id, content_type, schema, fields, retention, requires_consent, .. } = kind;
    (id, content_type, schema, fields, retention, requires_consent)
}

fn fields(fields: Vec<wire::FieldRule>) -> Decoded<Vec<FieldRule>> {
    if fields.len() > RULES_MAX {
        return Err(invalid(format!("must be at most {RULES_MAX} fields"))).at("fields");
    }
    let fields = fields.into_iter().enumerate();
    fields.map(|(place, rule)| self::rule(rule).at_index("fields", place)).collect()
}

fn rule(rule: wire::FieldRule) -> Decoded<FieldRule> {
    use wire::FieldSensitivity as S;
    let sensitivity = match S::try_from(rule.sensitivity) {
        Ok(S::Harmless) => Sensitivity::Harmless,
        Ok(S::Unspecified | S::Pii) => Sensitivity::Pii,
        Ok(S::Phi) => Sensitivity::Phi,
        Ok(S::Pan) => Sensitivity::Pan,
        Ok(S::Secret) => Sensitivity::Secret,
        Err(_) => return Err(invalid("must be a sensitivity")).at("sensitivity"),
    };
    Ok(FieldRule {
        path: FieldPath::parse(&rule.path).at("path")?,
        sensitivity,
        index: rule.index.map(index).transpose().at("index")?,
    })
}

fn index(index: wire::FieldIndex) -> Decoded<Index> {
    let normalisation = match WireNormalisation::try_from(index.normalisation) {
        Ok(WireNormalisation::Unspecified | WireNormalisation::Exact) => Normalisation::Exact,
        Ok(WireNormalisation::CaseFold) => Normalisation::CaseFold,
        Ok(WireNormalisation::Alphanumeric) => Normalisation::Digits,
        Ok(WireNormalisation::Email) => Normalisation::Email,
        Ok(WireNormalisation::Phone) => Normalisation::Phone,
        Err(_) => return Err(invalid("must be a normalisation")).at("normalisation"),
    };
    let bits = match index.bits {
        0 => INDEX_BITS_MAX.into(),
        // What is negative is too few.
        bits => u32::try_from(bits).unwrap_or(0),
    };
    Index::new(index.name, bits, normalisation)
}

fn retention(retention: wire::Retention) -> Decoded<Retention> {
    let from = match Start::try_from(retention.start) {
        Ok(Start::Unspecified | Start::CreateTime) => RetainedFrom::CreateTime,
        Ok(Start::EventTime) => RetainedFrom::EventTime,
        Err(_) => return Err(invalid("must be CREATE_TIME or EVENT_TIME")).at("start"),
    };
    Retention::new(u32::try_from(retention.days).unwrap_or(0), from)
}

/// A type as the wire has it.
pub(super) fn encode(kind: RecordType) -> wire::RecordType {
    wire::RecordType {
        name: name(&kind.id),
        content_type: kind.content_type.map(|it| it.to_string()).unwrap_or_default(),
        json_schema: kind.schema.unwrap_or_default(),
        fields: kind.fields.into_iter().map(encode_rule).collect(),
        retention: kind.retention.map(encode_retention),
        requires_consent: kind.requires_consent,
        create_time: Some(kind.create_time.encode()),
        update_time: Some(kind.update_time.encode()),
        etag: encode::etag(kind.revision),
    }
}

fn encode_rule(rule: FieldRule) -> wire::FieldRule {
    let sensitivity = match rule.sensitivity {
        Sensitivity::Harmless => wire::FieldSensitivity::Harmless,
        Sensitivity::Pii => wire::FieldSensitivity::Pii,
        Sensitivity::Phi => wire::FieldSensitivity::Phi,
        Sensitivity::Pan => wire::FieldSensitivity::Pan,
        Sensitivity::Secret => wire::FieldSensitivity::Secret,
    };
    wire::FieldRule {
        path: rule.path.to_string(),
        sensitivity: sensitivity.into(),
        index: rule.index.map(encode_index),
    }
}

fn encode_index(index: Index) -> wire::FieldIndex {
    let normalisation = match index.normalisation {
        Normalisation::Exact => WireNormalisation::Exact,
        Normalisation::CaseFold => WireNormalisation::CaseFold,
        Normalisation::Digits => WireNormalisation::Alphanumeric,
        Normalisation::Email => WireNormalisation::Email,
        Normalisation::Phone => WireNormalisation::Phone,
    };
    wire::FieldIndex {
        name: index.name,
        bits: index.bits.into(),
        normalisation: normalisation.into(),
    }
}

fn encode_retention(retention: Retention) -> wire::Retention {
    let start = match retention.from {
        RetainedFrom::CreateTime => Start::CreateTime,
        RetainedFrom::EventTime => Start::EventTime,
    };
    // At most a hundred years of days.
    let days = i32::try_from(retention.days).unwrap_or(i32::MAX);
    wire::Retention { days, start: start.into() }
}
