//! What a schema may cost, found before it is ever used.
//!
//! A *place* is where a value may stand in a document, as far as the schema tells places apart: the
//! root, a member by name, the other members, an item by index, the other items. At each place some
//! sub-schemas are applied, each perhaps several times over: once for every way that leads to it.
//! All places are followed from the root. A place at which the same sub-schemas are applied as
//! often as at one before is the same place, so that a recursive schema comes to an end.
//!
//! Refused is what applies more than [`APPLIED_MAX`] sub-schemas at one place, or more than
//! [`TOTAL_MAX`] at all places together. With that, the cost of a check grows with the document and
//! with nothing else. A definition that applies itself twice to the same item or member doubles
//! with every level of the document, and so runs into the bound; one that applies itself once, or
//! to members of different names, comes back to where it was. Members that match a pattern are
//! taken to be every member.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::document::{Document, Step};
use super::{APPLIED_MAX, HERE_MAX, SchemaError, TOTAL_MAX};

/// The most sub-schemas that lead from one place to those right below it, counted at each.
const BELOW_MAX: usize = 10 * TOTAL_MAX;

/// Sub-schemas, and how often each is applied.
type Applied = BTreeMap<usize, usize>;

/// The most that happens at any one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Sub-schemas that are applied.
    pub(super) applied: usize,
    /// Violations that can be found.
    pub(super) violations: usize,
    /// Sub-schemas that match texts with a pattern.
    pub(super) patterns: usize,
    /// Sub-schemas within each other.
    pub(super) nested: usize,
}

/// The cost of a schema, or why it is refused.
pub(super) fn cost(document: &Document) -> Result<Cost, SchemaError> {
    let mut most = Cost::default();
    let mut total = 0;
    let root = (Applied::from([(0, 1)]), false);
    let mut seen = BTreeSet::from([root.clone()]);
    let mut queue = VecDeque::from([root]);
    while let Some((entered, is_name)) = queue.pop_front() {
        let mut place = Place { document, applied: Applied::new(), cost: Cost::default() };
        for (sub, times) in entered {
            place.enter(&mut Vec::new(), sub, times, 1)?;
        }
        total += place.cost.applied;
        if total > TOTAL_MAX {
            return Err(too_many(document));
        }
        most = most.max_each(place.cost);
        // A name has neither members nor items.
        let children = if is_name { Vec::new() } else { place.children()? };
        for child in children.into_iter().filter(|(entered, _)| !entered.is_empty()) {
            if seen.insert(child.clone()) {
                queue.push_back(child);
            }
        }
    }
    Ok(most)
}

fn too_many(document: &Document) -> SchemaError {
    let problem = format!("applies more than {TOTAL_MAX} sub-schemas when it is followed");
    document.error(0, None, problem)
}

impl Cost {
    fn max_each(self, other: Self) -> Self {
        Self {
            applied: self.applied.max(other.applied),
            violations: self.violations.max(other.violations),
            patterns: self.patterns.max(other.patterns),
            nested: self.nested.max(other.nested),
        }
    }
}

struct Place<'d> {
    document: &'d Document,
    applied: Applied,
    cost: Cost,
}

impl Place<'_> {
    /// Applies a sub-schema here, and all that it applies to the same value. Each of those below an
    /// `unevaluated…` keyword is evaluated again for it: `again` counts them, itself included.
    fn enter(
        &mut self,
        above: &mut Vec<usize>,
        sub: usize,
        times: usize,
        again: usize,
    ) -> Result<(), SchemaError> {
        let document = self.document;
        let it = &document.subs[sub];
        if above.contains(&sub) {
            return Err(document.error(sub, None, "applies itself to the same value without end"));
        }
        *self.applied.entry(sub).or_default() += times;
        self.cost.applied += times.saturating_mul(1 + it.surcharge);
        self.cost.violations += times.saturating_mul(1 + it.required);
        self.cost.patterns += if it.has_pattern { times } else { 0 };
        self.cost.nested = self.cost.nested.max(above.len() + 1);
        if self.cost.applied > APPLIED_MAX {
            let problem = format!(
                "applies more than {APPLIED_MAX} sub-schemas to one value; a recursive schema must \
                 apply itself once to each member or item"
            );
            return Err(document.error(sub, None, problem));
        }
        if above.len() >= HERE_MAX {
            let problem = format!("applies more than {HERE_MAX} sub-schemas within each other");
            return Err(document.error(sub, None, problem));
        }
        above.push(sub);
        let again = again + it.unevaluated;
        for (step, to) in &it.edges {
            if *step == Step::Here {
                self.enter(above, *to, times.saturating_mul(again), again)?;
            }
        }
        above.pop();
        Ok(())
    }

    /// The places right below, and whether each is a name.
    fn children(&self) -> Result<Vec<(Applied, bool)>, SchemaError> {
        let mut of_names = Applied::new();
        let (mut by_name, mut others) = (BTreeMap::<&str, Named>::new(), Vec::new());
        let (mut by_index, mut rest) = (BTreeMap::<usize, Applied>::new(), Vec::new());
        for (sub, times) in &self.applied {
            for (step, to) in &self.document.subs[*sub].edges {
                match step {
                    Step::Here => {}
                    Step::Name => add(&mut of_names, *to, *times),
                    Step::Member(name) => {
                        let named = by_name.entry(name).or_default();
                        named.by.insert(*sub);
                        add(&mut named.applied, *to, *times);
                    }
                    Step::AnyMember => others.push(Other::new(None, *to, *times)),
                    Step::OtherMembers => others.push(Other::new(Some(*sub), *to, *times)),
                    Step::Item(index) => add(by_index.entry(*index).or_default(), *to, *times),
                    Step::Items(from) => rest.push((*from, *to, *times)),
                }
            }
        }
        let indexes = by_index.len().max(rest.iter().map(|(from, ..)| *from).max().unwrap_or(0));
        let below = (by_name.len() + 1).saturating_mul(others.len() + 1);
        if below.saturating_add((indexes + 1).saturating_mul(rest.len() + 1)) > BELOW_MAX {
            return Err(too_many(self.document));
        }
        let below = members(by_name, &others).into_iter().chain(items(&by_index, &rest));
        Ok(below.map(|place| (place, false)).chain([(of_names, true)]).collect())
    }
}

/// What is applied to a member of one name, and which sub-schemas name it.
#[derive(Default)]
struct Named {
    applied: Applied,
    by: BTreeSet<usize>,
}

fn members(by_name: BTreeMap<&str, Named>, others: &[Other]) -> Vec<Applied> {
    let mut unnamed = Applied::new();
    for other in others {
        add(&mut unnamed, other.to, other.times);
    }
    let mut places = vec![unnamed];
    for Named { mut applied, by } in by_name.into_values() {
        let is_for = |other: &&Other| other.unless_named_by.is_none_or(|sub| !by.contains(&sub));
        others.iter().filter(is_for).for_each(|other| add(&mut applied, other.to, other.times));
        places.push(applied);
    }
    places
}

/// A sub-schema of members that are not named, save those which its own schema names.
struct Other {
    unless_named_by: Option<usize>,
    to: usize,
    times: usize,
}

impl Other {
    fn new(unless_named_by: Option<usize>, to: usize, times: usize) -> Self {
        Self { unless_named_by, to, times }
    }
}

fn items(by_index: &BTreeMap<usize, Applied>, rest: &[(usize, usize, usize)]) -> Vec<Applied> {
    // Behind the last index of all, every item is like the next.
    let indexed = by_index.keys().next_back().map_or(0, |last| last + 1);
    let end = rest.iter().map(|(from, ..)| *from).fold(indexed, usize::max);
    let mut places = Vec::with_capacity(end + 1);
    for index in 0..=end {
        let mut place = by_index.get(&index).cloned().unwrap_or_default();
        for (_, to, times) in rest.iter().filter(|(from, ..)| *from <= index) {
            add(&mut place, *to, *times);
        }
        places.push(place);
    }
    places
}

fn add(applied: &mut Applied, sub: usize, times: usize) {
    *applied.entry(sub).or_default() += times;
}
