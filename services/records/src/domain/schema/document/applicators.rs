//! The keywords that hold sub-schemas, and to which values they apply them.

use serde_json::{Map, Value};

use super::{Document, SchemaError, Step};
use crate::domain::field_path::escape;

impl Document {
    /// Keywords that hold sub-schemas (JSON Schema Core, section 10).
    pub(super) fn visit_applicator(
        &mut self,
        at: usize,
        keyword: &str,
        value: &Value,
        beside: &Map<String, Value>,
    ) -> Result<(), SchemaError> {
        let prefix = || beside.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        match (keyword, value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                self.list(at, keyword, list, |_| Step::Here)
            }
            ("prefixItems", Value::Array(list)) => self.list(at, keyword, list, Step::Item),
            ("not" | "if" | "then" | "else", _) => self.one(at, keyword, value, Some(Step::Here)),
            ("additionalProperties", _) => self.one(at, keyword, value, Some(Step::OtherMembers)),
            ("unevaluatedProperties", _) => self.one(at, keyword, value, Some(Step::AnyMember)),
            ("propertyNames", _) => self.one(at, keyword, value, Some(Step::Name)),
            ("items", _) => self.one(at, keyword, value, Some(Step::Items(prefix()))),
            ("contains" | "unevaluatedItems", _) => {
                self.one(at, keyword, value, Some(Step::Items(0)))
            }
            ("contentSchema", _) => self.one(at, keyword, value, None),
            ("properties", Value::Object(map)) => {
                self.map(at, keyword, map, |name| Some(Step::Member(name.to_owned())))
            }
            ("patternProperties", Value::Object(map)) => {
                self.map(at, keyword, map, |_| Some(Step::AnyMember))
            }
            ("dependentSchemas" | "dependencies", Value::Object(map)) => {
                self.map(at, keyword, map, |_| Some(Step::Here))
            }
            ("$defs" | "definitions", Value::Object(map)) => self.map(at, keyword, map, |_| None),
            _ => Ok(()),
        }
    }

    fn list(
        &mut self,
        at: usize,
        keyword: &str,
        list: &[Value],
        step: fn(usize) -> Step,
    ) -> Result<(), SchemaError> {
        for (index, schema) in list.iter().enumerate() {
            self.add(at, format!("/{keyword}/{index}"), schema, Some(step(index)))?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        at: usize,
        keyword: &str,
        map: &Map<String, Value>,
        step: fn(&str) -> Option<Step>,
    ) -> Result<(), SchemaError> {
        // The lists of names that `dependencies` may hold are no schemas.
        for (name, schema) in map.iter().filter(|(_, schema)| !schema.is_array()) {
            self.add(at, format!("/{keyword}/{}", escape(name)), schema, step(name))?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        at: usize,
        keyword: &str,
        schema: &Value,
        step: Option<Step>,
    ) -> Result<(), SchemaError> {
        self.add(at, format!("/{keyword}"), schema, step)
    }

    fn add(
        &mut self,
        at: usize,
        tokens: String,
        schema: &Value,
        step: Option<Step>,
    ) -> Result<(), SchemaError> {
        let to = self.visit(schema, Some(at), tokens)?;
        self.subs[at].edges.extend(step.map(|step| (step, to)));
        Ok(())
    }
}
