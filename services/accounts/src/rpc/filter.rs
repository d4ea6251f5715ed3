//! The filter of lists (AIP-160): `customer`, `currency`, `state` and `product`, each with `=`,
//! joined by AND.

use aip_160::{Comparator, Expression, FilterError, Restriction, Value, parse_filter};
use shared::field::{Decoded, invalid};
use shared::money::Currency;
use shared::problem::{Problem, Reason};

use crate::domain::{AccountFilter, AccountState, CustomerId, Holder};

const LENGTH_MAX: usize = 1_024;

/// Reads a filter. What is wrong with it is said with its position, in characters from 1.
pub(super) fn parse(text: &str) -> Decoded<AccountFilter> {
    if text.chars().count() > LENGTH_MAX {
        return Err(invalid(format!("must have at most {LENGTH_MAX} characters")));
    }
    let parsed = parse_filter(text).map_err(|error| match error {
        FilterError::Syntax { offset, message } => {
            refused(text, offset, &format!("must be a filter as in AIP-160: {message}"))
        }
        _ => refused(text, 0, "must not be nested that deep"),
    })?;
    let mut terms = Vec::new();
    if let Some(expression) = &parsed.expression {
        collect_terms(expression, &mut terms);
    }
    let offsets = term_offsets(text);
    let mut filter = AccountFilter::default();
    for (index, term) in terms.into_iter().enumerate() {
        let offset = offsets.get(index).copied().unwrap_or_default();
        add(&mut filter, term).map_err(|sentence| refused(text, offset, &sentence))?;
    }
    Ok(filter)
}

fn refused(text: &str, offset: usize, sentence: &str) -> Problem {
    let position = text.get(..offset).unwrap_or_default().chars().count() + 1;
    let sentence = format!("{sentence} (at position {position})");
    let problem = Problem::new(Reason::FilterInvalid, sentence).in_field("");
    problem.figure("position", position)
}

/// What stands between the ANDs, in the order of the text.
fn collect_terms<'a>(expression: &'a Expression, terms: &mut Vec<&'a Expression>) {
    match expression {
        Expression::And(children) => children.iter().for_each(|child| collect_terms(child, terms)),
        term => terms.push(term),
    }
}

/// Where the terms begin: the parser does not tell. Every term up to the first that is refused is
/// a plain comparison, so each AND outside of quotes stands between two terms.
fn term_offsets(text: &str) -> Vec<usize> {
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

/// Adds one comparison to the filter, or says what is wrong with it.
fn add(filter: &mut AccountFilter, term: &Expression) -> Result<(), String> {
    let Expression::Restriction(Restriction { comparable, comparator, arg }) = term else {
        return Err("must be comparisons joined by AND".to_owned());
    };
    let field = comparable.field_path().unwrap_or_default();
    let value = match (comparator, arg.as_value()) {
        (Comparator::Equal, Some(Value::Text(value) | Value::String(value))) => value.as_str(),
        (Comparator::Equal, None) => return Err("must compare with a value".to_owned()),
        _ => return Err("must compare with =".to_owned()),
    };
    match field.as_str() {
        "customer" => set(&mut filter.holder, holder(value)),
        "currency" => set(&mut filter.currency, Currency::iso(value)),
        "state" => set(&mut filter.state, state(value)),
        "product" => set(&mut filter.product, Some(value.to_owned())),
        _ => return Err("must compare customer, currency, state or product".to_owned()),
    }
    .map_err(|sentence| format!("{sentence} {field}"))
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), &'static str> {
    if slot.is_some() {
        return Err("must have only one");
    }
    *slot = Some(value.ok_or("must have a usable")?);
    Ok(())
}

fn holder(name: &str) -> Option<Holder> {
    match name {
        "" => Some(Holder::House),
        name => CustomerId::parse_name(name).ok().map(Holder::Customer),
    }
}

/// A state by its name in the contract, with its prefix or without.
fn state(name: &str) -> Option<AccountState> {
    let name = name.strip_prefix("STATE_").unwrap_or(name);
    AccountState::ALL.iter().copied().find(|state| state.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_in_any_order_and_spelling() {
        let customer = CustomerId::generate();
        let filter = parse(&format!(
            " state=STATE_OPEN AND (currency = \"EUR\" AND customer = {customer}) \
              AND product='x-1'"
        ));
        let expected = AccountFilter {
            holder: Some(Holder::Customer(customer)),
            currency: Currency::iso("EUR"),
            state: Some(AccountState::Open),
            product: Some("x-1".to_owned()),
        };
        assert_eq!(filter.unwrap(), expected);
        assert_eq!(parse("customer = \"\"").unwrap().holder, Some(Holder::House));
        assert_eq!(parse("state = OPEN").unwrap().state, Some(AccountState::Open));
        assert_eq!(parse("  ").unwrap(), AccountFilter::default());
    }

    #[test]
    fn what_is_refused_says_where() {
        for (text, position) in [
            ("customer", 1),
            ("colour = red", 1),
            ("currency = EUR AND colour = red", 20),
            ("currency = EUR AND  currency = USD", 21),
            ("product = \" AND \" AND state = ODD", 23),
            ("product = \"\\\" AND \" AND state != OPEN", 25),
            ("product = é AND state : OPEN", 17),
            ("currency = eur", 1),
            ("state = OPEN OR state = CLOSED", 1),
            ("product = a AND NOT state = OPEN", 17),
            ("product = a AND (state = OPEN OR state = CLOSED)", 18),
            ("product = a state = OPEN", 1),
            ("customer = customers/1", 1),
            ("customer = other.field", 1),
            ("currency = (EUR)", 1),
            ("\"currency\" = EUR", 1),
            ("currency.code = EUR", 1),
            ("product = a AND", 13),
            ("product = ", 11),
            ("product = \"a", 11),
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.reason, Reason::FilterInvalid, "{text}");
            assert_eq!(problem.figures["position"], position.to_string(), "{text}: {problem}");
        }
        assert!(parse(&"(".repeat(100)).is_err());
        assert_eq!(parse(&"a".repeat(2_000)).unwrap_err().reason, Reason::FieldInvalid);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[a-z =()\"'\\\\AND é]{0,40}") {
            let _ = parse(&text);
        }
    }
}
