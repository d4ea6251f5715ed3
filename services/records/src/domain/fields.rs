//! The rules of a record type, arranged for a walk through content.

use std::collections::BTreeMap;

use super::field_path::Segment;
use super::field_rule::FieldRule;

/// Rules as a tree of segments.
#[derive(Debug, Default)]
pub(super) struct Fields {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    exact: BTreeMap<String, usize>,
    any: Option<usize>,
    rule: Option<FieldRule>,
}

impl Fields {
    /// Arranges rules that can stand together.
    pub(super) fn new(rules: &[FieldRule]) -> Self {
        let mut fields = Self { nodes: vec![Node::default()] };
        for rule in rules {
            let mut at = 0;
            for segment in rule.path.segments() {
                at = fields.child(at, segment);
            }
            fields.nodes[at].rule = Some(rule.clone());
        }
        fields
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// The names that paths mention.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().flat_map(|node| node.exact.keys().map(String::as_str))
    }

    /// The whole content.
    pub(super) fn root(&self) -> Place<'_> {
        Place { fields: self, nodes: vec![0] }
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let child = match segment {
            Segment::Exact(name) => *self.nodes[at].exact.entry(name.clone()).or_insert(new),
            Segment::Any => *self.nodes[at].any.get_or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }
}

/// A place in content, and what rules go through it: the most specific first. Of two, that is the
/// one which is exact where they part.
#[derive(Debug, Clone)]
pub(super) struct Place<'f> {
    fields: &'f Fields,
    nodes: Vec<usize>,
}

impl<'f> Place<'f> {
    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Self {
        self.step(|node| node.exact.get(name).copied())
    }

    /// The item at this index.
    pub(super) fn item(&self, index: usize) -> Self {
        let exact = |node: &Node| match node.exact.is_empty() {
            true => None,
            false => node.exact.get(index.to_string().as_str()).copied(),
        };
        self.step(exact)
    }

    /// The rule of the value right here.
    pub(super) fn rule(&self) -> Option<&'f FieldRule> {
        let mut nodes = self.nodes.iter().map(|at| &self.fields.nodes[*at]);
        nodes.find_map(|node| node.rule.as_ref())
    }

    /// Whether no rule goes through here or ends here.
    pub(super) fn is_bare(&self) -> bool {
        self.nodes.is_empty()
    }

    fn step(&self, exact: impl Fn(&Node) -> Option<usize>) -> Self {
        let nodes = self.nodes.iter().map(|at| &self.fields.nodes[*at]);
        let nodes = nodes.flat_map(|node| exact(node).into_iter().chain(node.any));
        Self { fields: self.fields, nodes: nodes.collect() }
    }
}
