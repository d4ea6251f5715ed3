//! The filter of lists of accounts (AIP-160).

use shared::field::Decoded;
use shared::filter;
use shared::money::Currency;

use super::customer_filter::set_entry;
use crate::domain::{AccountFilter, AccountState, CustomerId, HeldBy};

const FIELDS: [&str; 7] =
    ["customer", "holder", "currency", "state", "product", "external_ids.{KIND}", "labels.{key}"];

/// Reads a filter.
pub(super) fn parse(text: &str) -> Decoded<AccountFilter> {
    let mut filter = AccountFilter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "customer" => term.set(&mut filter.customer, term.read(customer)?)?,
            "holder" => term.set(&mut filter.holder, term.read(holder)?)?,
            "currency" => term.set(&mut filter.currency, term.read(Currency::iso)?)?,
            "state" => term.set(&mut filter.state, term.read(state)?)?,
            "product" => term.set(&mut filter.product, term.equal()?.to_owned())?,
            _ => match (term.key("labels"), term.key("external_ids")) {
                (Some(key), _) => set_entry(&mut filter.labels, key, &term)?,
                (_, Some(key)) => set_entry(&mut filter.external_ids, key, &term)?,
                (None, None) => return Err(term.unknown(&FIELDS)),
            },
        }
    }
    Ok(filter)
}

fn customer(name: &str) -> Option<HeldBy> {
    match name {
        "" => Some(HeldBy::House),
        name => holder(name).map(HeldBy::Customer),
    }
}

fn holder(name: &str) -> Option<CustomerId> {
    CustomerId::parse_name(name).ok()
}

/// A state by its name in the contract, with its prefix or without.
fn state(name: &str) -> Option<AccountState> {
    let name = name.strip_prefix("STATE_").unwrap_or(name);
    AccountState::ALL.iter().copied().find(|state| state.name() == name)
}

#[cfg(test)]
mod tests {
    use shared::problem::Reason;

    use super::*;

    #[test]
    fn every_field_is_read_in_any_order_and_spelling() {
        let customer = CustomerId::generate();
        let filter = parse(&format!(
            " state=STATE_OPEN AND (currency = \"EUR\" AND customer = {customer}) \
              AND product='x-1' AND holder = {customer} AND labels.\"a b\" = c \
              AND external_ids.IBAN = CH93"
        ));
        let expected = AccountFilter {
            customer: Some(HeldBy::Customer(customer)),
            currency: Currency::iso("EUR"),
            state: Some(AccountState::Open),
            product: Some("x-1".to_owned()),
            holder: Some(customer),
            external_ids: [("IBAN".to_owned(), "CH93".to_owned())].into(),
            labels: [("a b".to_owned(), "c".to_owned())].into(),
        };
        assert_eq!(filter.unwrap(), expected);
        assert_eq!(parse("customer = \"\"").unwrap().customer, Some(HeldBy::House));
        assert_eq!(parse("state = OPEN").unwrap().state, Some(AccountState::Open));
        assert_eq!(parse("  ").unwrap(), AccountFilter::default());
    }

    #[test]
    fn what_is_refused_says_where() {
        for (text, position, sentence) in [
            ("colour = red", 1, "must compare customer, holder, currency, state, product,"),
            ("currency = EUR AND colour = red", 20, "must compare customer,"),
            ("currency = EUR AND  currency = USD", 21, "must have only one currency"),
            ("product = \" AND \" AND state = ODD", 23, "must have a usable state"),
            ("product = \"\\\" AND \" AND state != OPEN", 25, "must compare with ="),
            ("product = é AND state : OPEN", 17, "must compare with ="),
            ("currency = eur", 1, "must have a usable currency"),
            ("customer = customers/1", 1, "must have a usable customer"),
            ("holder = \"\"", 1, "must have a usable holder"),
            ("labels.a = b AND labels.a = c", 18, "must have only one labels.a"),
            ("currency.code = EUR", 1, "must compare customer,"),
            ("product = a AND (state = OPEN OR state = CLOSED)", 18, "must be comparisons joined"),
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.reason, Reason::FilterInvalid, "{text}");
            assert_eq!(problem.figures["position"], position.to_string(), "{text}: {problem}");
            assert!(problem.message.starts_with(sentence), "{text}: {problem}");
        }
    }
}
