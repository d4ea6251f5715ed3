//! A schema as a graph: its sub-schemas, and to which values each hands on.

mod applicators;

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{DIALECT, PATTERNS_MAX, SchemaError, shorten};

/// So many entries of a list that is gone through cost as much as a sub-schema.
const ENTRIES: usize = 16;

/// To which value a sub-schema is applied, from that of the schema around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The same value.
    Here,
    /// The member of this name.
    Member(String),
    /// Members whose name matches a pattern: as good as every member.
    AnyMember,
    /// Members that the same schema does not name.
    OtherMembers,
    /// The names of members.
    Name,
    /// The item at this index.
    Item(usize),
    /// Items from this index on.
    Items(usize),
}

/// A sub-schema, and what it hands on.
#[derive(Debug, Default)]
pub(super) struct Sub {
    parent: Option<usize>,
    /// The reference tokens from the parent to here.
    tokens: String,
    pub(super) edges: Vec<(Step, usize)>,
    /// What its own lists cost beyond any other sub-schema.
    pub(super) surcharge: usize,
    /// Keywords that ask what their neighbours have evaluated, and evaluate those once more.
    pub(super) unevaluated: usize,
    /// Whether texts are matched with a pattern.
    pub(super) has_pattern: bool,
    /// Members that have to be there: each may be missing.
    pub(super) required: usize,
}

/// The sub-schemas of a schema. The first is the whole.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) subs: Vec<Sub>,
    /// The names of members that the schema mentions.
    pub(super) names: BTreeSet<String>,
    /// Whether it has `anyOf` or `oneOf`.
    pub(super) has_choices: bool,
    by_address: BTreeMap<usize, usize>,
    anchors: BTreeMap<String, usize>,
    references: Vec<(usize, &'static str, String)>,
    patterns: BTreeSet<String>,
}

impl Document {
    /// Reads what has been found valid by the meta-schema.
    pub(super) fn read(schema: &Value) -> Result<Self, SchemaError> {
        let mut document = Self::default();
        document.visit(schema, None, String::new())?;
        for (from, keyword, reference) in std::mem::take(&mut document.references) {
            let to = document.resolve(schema, &reference);
            let to = to.map_err(|problem| document.error(from, Some(keyword), problem))?;
            document.subs[from].edges.push((Step::Here, to));
        }
        Ok(document)
    }

    /// What is wrong with a sub-schema, or with a keyword of it.
    pub(super) fn error(
        &self,
        sub: usize,
        keyword: Option<&str>,
        problem: impl Into<String>,
    ) -> SchemaError {
        let mut tokens = vec![self.subs[sub].tokens.as_str()];
        let mut at = sub;
        while let Some(parent) = self.subs[at].parent {
            tokens.push(&self.subs[parent].tokens);
            at = parent;
        }
        let mut path: String = tokens.into_iter().rev().collect();
        if let Some(keyword) = keyword {
            path = format!("{path}/{keyword}");
        }
        SchemaError { path: shorten(path), problem: problem.into() }
    }

    fn visit(
        &mut self,
        schema: &Value,
        parent: Option<usize>,
        tokens: String,
    ) -> Result<usize, SchemaError> {
        let at = self.subs.len();
        self.subs.push(Sub { parent, tokens, ..Sub::default() });
        self.by_address.insert(address(schema), at);
        if let Value::Object(keywords) = schema {
            for (keyword, value) in keywords {
                self.visit_identity(at, keyword, value)?;
                self.visit_assertion(at, keyword, value)?;
                self.visit_applicator(at, keyword, value, keywords)?;
            }
        }
        Ok(at)
    }

    /// Keywords that say which schema this is, and which it refers to.
    fn visit_identity(
        &mut self,
        at: usize,
        keyword: &str,
        value: &Value,
    ) -> Result<(), SchemaError> {
        let text = value.as_str().unwrap_or_default();
        let problem = match keyword {
            "$schema" if text != DIALECT => "must be the URI of JSON Schema 2020-12",
            "$id" if at != 0 => "must stand at the root only",
            "$anchor" | "$dynamicAnchor" => {
                if self.anchors.insert(text.to_owned(), at).is_none_or(|other| other == at) {
                    return Ok(());
                }
                "is used twice"
            }
            "$ref" => {
                self.references.push((at, "$ref", text.to_owned()));
                return Ok(());
            }
            // There is one document, and so one anchor of a name: nothing is dynamic.
            "$dynamicRef" => {
                self.references.push((at, "$dynamicRef", text.to_owned()));
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(self.error(at, Some(keyword), problem))
    }

    /// Keywords that cost something by themselves, or mention names.
    fn visit_assertion(
        &mut self,
        at: usize,
        keyword: &str,
        value: &Value,
    ) -> Result<(), SchemaError> {
        match (keyword, value) {
            ("anyOf" | "oneOf", _) => self.has_choices = true,
            ("unevaluatedProperties" | "unevaluatedItems", _) => self.subs[at].unevaluated += 1,
            ("required", _) => {
                let required = texts(value);
                self.subs[at].required += required.len();
                self.names.extend(required);
            }
            ("properties" | "dependentSchemas", Value::Object(members)) => {
                self.names.extend(members.keys().cloned());
            }
            ("enum", Value::Array(values)) if !is_hashed(values) => {
                self.subs[at].surcharge += values.len() / ENTRIES;
            }
            ("dependentRequired" | "dependencies", Value::Object(members)) => {
                self.subs[at].surcharge += members.len() / ENTRIES;
                for (name, value) in members {
                    self.names.insert(name.clone());
                    let required = texts(value);
                    self.subs[at].required += required.len();
                    self.names.extend(required);
                }
            }
            ("pattern", Value::String(pattern)) => {
                self.subs[at].has_pattern = true;
                self.patterns.insert(pattern.clone());
            }
            ("patternProperties", Value::Object(members)) => {
                self.subs[at].has_pattern = true;
                self.patterns.extend(members.keys().cloned());
            }
            _ => {}
        }
        if self.patterns.len() > PATTERNS_MAX {
            let problem = format!("is the first of more than {PATTERNS_MAX} different patterns");
            return Err(self.error(at, Some(keyword), problem));
        }
        Ok(())
    }

    /// The sub-schema that a reference names: `#`, `#/$defs/name` or `#anchor`.
    fn resolve(&self, root: &Value, reference: &str) -> Result<usize, &'static str> {
        const OUTSIDE: &str = "must begin with #: a schema refers to itself only";
        const NOTHING: &str = "refers to no schema in this document";
        let fragment = reference.strip_prefix('#').ok_or(OUTSIDE)?;
        let fragment = percent_decode_str(fragment).decode_utf8().map_err(|_| NOTHING)?;
        let found = match fragment.is_empty() || fragment.starts_with('/') {
            true => root.pointer(&fragment).and_then(|at| self.by_address.get(&address(at))),
            false => self.anchors.get(fragment.as_ref()),
        };
        found.copied().ok_or(NOTHING)
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Whether the library looks up a value among these, instead of going through them.
fn is_hashed(values: &[Value]) -> bool {
    let all = |fits: fn(&Value) -> bool| values.iter().all(|value| value.is_null() || fits(value));
    all(Value::is_string) || all(Value::is_i64)
}

/// Tells one value of a document from the others.
fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}
