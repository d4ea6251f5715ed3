//! Record types: what records of one kind look like, and what may become of them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::field::{At as _, Decoded, invalid};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::content_type::ContentType;
use super::extraction::{self, IndexValue, NotIndexed};
use super::field_rule::{self, FieldRule, Index};
use super::fields::Fields;
use super::json::{self, NoJson};
use super::masking::Masks;
use super::schema::{Schema, Violation};

/// The most characters of the id of a record type.
pub(crate) const RECORD_TYPE_ID_MAX: usize = 64;
/// The most days of a retention: a hundred years.
pub(crate) const RETENTION_DAYS_MAX: u32 = 36_500;
const MICROS_PER_DAY: i64 = 24 * 3_600 * 1_000_000;
/// The last second that a time may have on the wire: the end of the year 9999.
const END_OF_TIME: i64 = 253_402_300_799 * 1_000_000;

/// From when a record is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RetainedFrom {
    /// From when it was created.
    CreateTime,
    /// From when what it describes happened; from when it was created where that is not known.
    EventTime,
}

/// For how long records are retained. They are deleted after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// Days, 1 to 36,500.
    pub(crate) days: u32,
    /// From when.
    pub(crate) from: RetainedFrom,
}

impl Retention {
    /// Checks what a caller declares.
    pub(crate) fn new(days: u32, from: RetainedFrom) -> Decoded<Self> {
        if (1..=RETENTION_DAYS_MAX).contains(&days) {
            return Ok(Self { days, from });
        }
        Err(invalid(format!("must be 1 to {RETENTION_DAYS_MAX} days"))).at("days")
    }

    /// Until when a record is retained.
    fn end(self, create_time: Timestamp, event_time: Option<Timestamp>) -> Timestamp {
        let start = match self.from {
            RetainedFrom::CreateTime => create_time,
            RetainedFrom::EventTime => event_time.unwrap_or(create_time),
        };
        let end = start.micros().saturating_add(i64::from(self.days) * MICROS_PER_DAY);
        Timestamp::from_micros(end.min(END_OF_TIME))
    }
}

/// A record type as a tenant declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordType {
    /// The id: "kyc-file", 1 to 64 lower case letters, digits and dashes.
    pub(crate) id: String,
    /// The media type of the content; any where it does not say.
    pub(crate) content_type: Option<ContentType>,
    /// The JSON Schema 2020-12 of the content, where it has one.
    pub(crate) schema: Option<String>,
    /// What it says of fields.
    pub(crate) fields: Vec<FieldRule>,
    /// For how long records are retained; for ever where it does not say.
    pub(crate) retention: Option<Retention>,
    /// Whether content is read only with a consent of its subject.
    pub(crate) requires_consent: bool,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When it was changed last.
    pub(crate) update_time: Timestamp,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

/// A record type that is ready to check, mask and index content. It is costly to make and cheap to
/// share.
#[derive(Debug)]
pub(crate) struct CompiledType {
    id: String,
    revision: i64,
    content_type: Option<ContentType>,
    schema: Option<Schema>,
    masks: Masks,
    indexes: BTreeMap<String, Index>,
    rules: i64,
    retention: Option<Retention>,
}

/// Content that fits its type.
pub(crate) struct Checked {
    /// What it is looked up by.
    pub(crate) index_values: Vec<IndexValue>,
}

/// Why content does not fit its type. It tells places and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    /// It has another media type than its record type.
    #[error("must be {0}, as its record type says")]
    ContentType(ContentType),
    /// It is no JSON, or has two members of one name in an object.
    #[error(transparent)]
    NoJson(#[from] NoJson),
    /// It breaks the schema.
    #[error("breaks the schema of its record type: {}", list(.0))]
    Schema(Vec<Violation>),
    /// A value is too long for its index, or there are too many.
    #[error(transparent)]
    NotIndexed(#[from] NotIndexed),
}

impl RecordType {
    /// Compiles the type, or says which field of it is wrong.
    pub(crate) fn compile(&self) -> Decoded<CompiledType> {
        let is_json = self.content_type.as_ref().is_some_and(ContentType::is_json);
        if !is_json && self.schema.is_some() {
            return Err(invalid("is for JSON content only")).at("json_schema");
        }
        if !is_json && !self.fields.is_empty() {
            return Err(invalid("are for JSON content only")).at("fields");
        }
        field_rule::check(&self.fields).at("fields")?;
        let schema = self.schema.as_deref().map(|text| Schema::parse(text.as_bytes()));
        let schema = schema.transpose().at("json_schema")?;
        let fields = Fields::new(&self.fields);
        let masks = match &schema {
            None if fields.is_empty() => Masks::untyped(),
            None => Masks::new(fields, std::iter::empty()),
            Some(schema) => Masks::new(fields, schema.names()),
        };
        let indexes = self.fields.iter().filter_map(|field| field.index.clone());
        Ok(CompiledType {
            id: self.id.clone(),
            revision: self.revision,
            content_type: self.content_type.clone(),
            schema,
            masks,
            indexes: indexes.map(|index| (index.name.clone(), index)).collect(),
            rules: rules(&self.fields),
            retention: self.retention,
        })
    }
}

/// The first bytes of a hash of all that decides what is indexed, and how.
fn rules(fields: &[FieldRule]) -> i64 {
    let mut rules: Vec<_> = fields.iter().map(|field| (&field.path, &field.index)).collect();
    rules.sort_by_key(|(path, _)| *path);
    // Plain data always serialises.
    let rules = serde_json::to_vec(&rules).unwrap_or_default();
    let hash = digest(&SHA256, &rules);
    hash.as_ref().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

impl CompiledType {
    /// The id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Which revision of the type it is.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Whether it has an index.
    pub(crate) fn has_indexes(&self) -> bool {
        !self.indexes.is_empty()
    }

    /// The index of this name.
    pub(crate) fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.get(name)
    }

    /// What stands for all that decides what is indexed, and how.
    pub(crate) fn rules(&self) -> i64 {
        self.rules
    }

    /// Until when a record is retained, where it is not for ever.
    pub(crate) fn expire_time(
        &self,
        create_time: Timestamp,
        event_time: Option<Timestamp>,
    ) -> Option<Timestamp> {
        Some(self.retention?.end(create_time, event_time))
    }

    /// Whether that depends on when what it describes happened.
    pub(crate) fn retains_from_event(&self) -> bool {
        self.retention.is_some_and(|retention| retention.from == RetainedFrom::EventTime)
    }

    /// About how much it takes to check content of some bytes.
    pub(crate) fn work(&self, bytes: usize) -> usize {
        self.schema.as_ref().map_or(bytes, |schema| schema.work(bytes))
    }

    /// Whether content of this media type is looked into: then it has to be small enough for that.
    pub(crate) fn looks_into(&self, content_type: &ContentType) -> bool {
        content_type.is_json() && (self.schema.is_some() || !self.indexes.is_empty())
    }

    /// Whether it takes content of this media type.
    pub(crate) fn takes(&self, content_type: &ContentType) -> Result<(), Misfit> {
        match &self.content_type {
            Some(expected) if expected != content_type => {
                Err(Misfit::ContentType(expected.clone()))
            }
            _ => Ok(()),
        }
    }

    /// What content that was sealed before is looked up by, whatever schema holds by now.
    pub(crate) fn index_values(
        &self,
        content_type: &ContentType,
        content: &[u8],
    ) -> Result<Vec<IndexValue>, Misfit> {
        if self.indexes.is_empty() || !content_type.is_json() {
            return Ok(Vec::new());
        }
        Ok(extraction::extract(self.masks.fields(), &json::parse(content)?)?)
    }

    /// How its content is masked.
    pub(crate) fn masks(&self) -> &Masks {
        &self.masks
    }

    fn check_json(&self, content: &Value) -> Result<Checked, Misfit> {
        if let Some(schema) = &self.schema {
            schema.check(content).map_err(Misfit::Schema)?;
        }
        Ok(Checked { index_values: extraction::extract(self.masks.fields(), content)? })
    }
}

/// Checks content against its type, and gives what it is looked up by. Only JSON is looked into.
pub(crate) fn check_content(
    record_type: &CompiledType,
    content_type: &ContentType,
    content: &[u8],
) -> Result<Checked, Misfit> {
    record_type.takes(content_type)?;
    if !content_type.is_json() {
        return Ok(Checked { index_values: Vec::new() });
    }
    record_type.check_json(&json::parse(content)?)
}

impl From<Misfit> for Box<Problem> {
    fn from(misfit: Misfit) -> Self {
        invalid(misfit.to_string())
    }
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
