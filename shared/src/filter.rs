//! The filters of lists (AIP-160): comparisons of a field with a value, joined by AND.
//!
//! What is wrong with a filter is said with its position, in characters from 1: here for the text
//! itself, and by each list for the terms that it does not know.

use std::fmt::Display;

use aip_160::{Comparator, Expression, FilterError, Restriction, parse_filter};

use crate::field::{Decoded, invalid};
use crate::ids::{Id, Resource};
use crate::problem::{Problem, Reason};
use crate::time::Timestamp;

const LENGTH_MAX: usize = 1_024;

/// One comparison of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The field: "account", or "labels.env" for a key of a map.
    pub path: String,
    comparator: Comparator,
    value: String,
    /// Where it begins, in characters from 1.
    position: usize,
}

/// Reads a filter into its terms, in the order of the text; none where it is empty.
pub fn parse(text: &str) -> Decoded<Vec<Term>> {
    if text.chars().count() > LENGTH_MAX {
        return Err(invalid(format!("must have at most {LENGTH_MAX} characters")));
    }
    // Postgres takes no NUL, and no field has any of the others.
    if let Some(offset) = text.find(|c: char| c.is_control() && !c.is_whitespace()) {
        let refused = refused(position(text, offset), "must not have control characters");
        return Err(refused.into());
    }
    let parsed = parse_filter(text).map_err(|error| match error {
        FilterError::Syntax { offset, message } => {
            let sentence = format!("must be a filter as in AIP-160: {message}");
            refused(position(text, offset), sentence)
        }
        _ => refused(1, "must not be nested that deep"),
    })?;
    let mut expressions = Vec::new();
    if let Some(expression) = parsed.expression {
        collect(expression, &mut expressions);
    }
    let mut offsets = offsets(text).into_iter();
    let read = |expression| {
        let position = position(text, offsets.next().unwrap_or_default());
        Ok(term(expression, position).map_err(|sentence| refused(position, sentence))?)
    };
    expressions.into_iter().map(read).collect()
}

fn position(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or_default().chars().count() + 1
}

fn refused(position: usize, sentence: impl Display) -> Problem {
    let sentence = format!("{sentence} (at position {position})");
    let problem = Problem::new(Reason::FilterInvalid, sentence).in_field("");
    problem.figure("position", position)
}

/// What stands between the ANDs, in the order of the text.
fn collect(expression: Expression, terms: &mut Vec<Expression>) {
    match expression {
        Expression::And(children) => children.into_iter().for_each(|child| collect(child, terms)),
        term => terms.push(term),
    }
}

/// Where the terms begin: the parser does not tell. Every term up to the first that is refused is
/// a plain comparison, so each AND outside of quotes stands between two terms.
fn offsets(text: &str) -> Vec<usize> {
    let (mut offsets, mut quote, mut escaped) = (Vec::new(), None, false);
    let (mut begins, mut word) = (true, String::new());
    for (offset, c) in text.char_indices() {
        if begins && !c.is_whitespace() && c != '(' {
            offsets.push(offset);
            begins = false;
        }
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, _) if c.is_whitespace() => begins |= std::mem::take(&mut word) == "AND",
            (None, _) => word.push(c),
        }
    }
    offsets
}

fn term(expression: Expression, position: usize) -> Result<Term, &'static str> {
    let Expression::Restriction(Restriction { comparable, comparator, arg }) = expression else {
        return Err("must be comparisons joined by AND");
    };
    let value = arg.as_value().ok_or("must compare with a value")?.as_str().to_owned();
    let field = comparable.as_member().filter(|member| !member.value.is_quoted());
    let field = field.ok_or("must compare a field")?;
    // The key of a map may be quoted, where it has more than letters and digits.
    let path: Vec<&str> =
        std::iter::once(&field.value).chain(&field.fields).map(aip_160::Value::as_str).collect();
    Ok(Term { path: path.join("."), comparator, value, position })
}

impl Term {
    /// `FILTER_INVALID` for this term. The sentence goes on from "filter": "must ...".
    pub fn refused(&self, sentence: impl Display) -> Box<Problem> {
        Box::new(refused(self.position, sentence))
    }

    /// The refusal of a field that the list does not know, with those that it does.
    pub fn unknown(&self, known: &[&str]) -> Box<Problem> {
        let (last, others) = known.split_last().unwrap_or((&"nothing", &[]));
        match others {
            [] => self.refused(format_args!("must compare {last}")),
            _ => self.refused(format_args!("must compare {} or {last}", others.join(", "))),
        }
    }

    /// The key, where the field is an entry of this map: "env" of "labels.env" in "labels".
    pub fn key(&self, map: &str) -> Option<&str> {
        self.path.strip_prefix(map)?.strip_prefix('.')
    }

    /// The value that the field has to have; any comparison but `=` is refused.
    pub fn equal(&self) -> Decoded<&str> {
        match self.comparator {
            Comparator::Equal => Ok(&self.value),
            _ => Err(self.refused("must compare with =")),
        }
    }

    /// The value that the field has to have, as `read` gives it: a state, a currency.
    pub fn read<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Decoded<T> {
        let value = read(self.equal()?);
        value.ok_or_else(|| self.refused(format_args!("must have a usable {}", self.path)))
    }

    /// The resource that the field has to name.
    pub fn name<R: Resource>(&self) -> Decoded<Id<R>> {
        Id::parse_name(self.equal()?).map_err(|_| {
            let (field, collection) = (&self.path, R::COLLECTION);
            self.refused(format_args!("must compare {field} with {collection}/{{uuid}}"))
        })
    }

    /// Keeps what was read; a second term for the same field is refused.
    pub fn set<T>(&self, slot: &mut Option<T>, value: T) -> Decoded<()> {
        if slot.is_some() {
            return Err(self.refused(format_args!("must have only one {}", self.path)));
        }
        *slot = Some(value);
        Ok(())
    }

    /// The value as a point in time (RFC 3339).
    fn time(&self) -> Decoded<Timestamp> {
        let read = || {
            let nanos = self.value.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
            let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
            let nanos = i32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
            Timestamp::decode(prost_types::Timestamp { seconds, nanos }).ok()
        };
        read().ok_or_else(|| {
            let sentence =
                "with a time such as \"2026-11-01T00:00:00Z\", no finer than a microsecond";
            self.refused(format_args!("must compare {} {sentence}", self.path))
        })
    }
}

/// From when, and before when: the comparisons of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// This time and later ones: `>=`.
    pub from: Option<Timestamp>,
    /// Earlier times than this: `<`.
    pub before: Option<Timestamp>,
}

impl Period {
    /// Adds a term, each of the two at most once.
    pub fn add(&mut self, term: &Term) -> Decoded<()> {
        let slot = match term.comparator {
            Comparator::GreaterThanOrEqual => &mut self.from,
            Comparator::LessThan => &mut self.before,
            _ => return Err(term.refused("must compare times with >= or <")),
        };
        term.set(slot, term.time()?)
    }
}

#[cfg(test)]
mod tests;
