//! The filter of lists of customers (AIP-160).

use std::collections::BTreeMap;

use shared::field::Decoded;
use shared::filter::{self, Term};

use crate::domain::{CustomerFilter, CustomerKind, CustomerState, KycState};

const FIELDS: [&str; 6] =
    ["kind", "state", "kyc_state", "external_ids.{KIND}", "labels.{key}", "create_time"];

/// Reads a filter.
pub(super) fn parse(text: &str) -> Decoded<CustomerFilter> {
    let mut filter = CustomerFilter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "kind" => term.set(&mut filter.kind, term.read(kind)?)?,
            "state" => term.set(&mut filter.state, term.read(state)?)?,
            "kyc_state" => term.set(&mut filter.kyc_state, term.read(kyc_state)?)?,
            "create_time" => filter.period.add(&term)?,
            _ => match (term.key("labels"), term.key("external_ids")) {
                (Some(key), _) => set_entry(&mut filter.labels, key, &term)?,
                (_, Some(key)) => set_entry(&mut filter.external_ids, key, &term)?,
                (None, None) => return Err(term.unknown(&FIELDS)),
            },
        }
    }
    Ok(filter)
}

/// Keeps what an entry of a map has to be; a second term for the same key is refused.
pub(super) fn set_entry(map: &mut BTreeMap<String, String>, key: &str, term: &Term) -> Decoded<()> {
    let mut value = map.remove(key);
    term.set(&mut value, term.equal()?.to_owned())?;
    map.extend(value.map(|value| (key.to_owned(), value)));
    Ok(())
}

// Each by its name in the contract, with its prefix or without.

fn kind(name: &str) -> Option<CustomerKind> {
    let name = name.strip_prefix("KIND_").unwrap_or(name);
    CustomerKind::ALL.iter().copied().find(|kind| kind.name() == name)
}

fn state(name: &str) -> Option<CustomerState> {
    let name = name.strip_prefix("STATE_").unwrap_or(name);
    CustomerState::ALL.iter().copied().find(|state| state.name() == name)
}

fn kyc_state(name: &str) -> Option<KycState> {
    let name = name.strip_prefix("STATE_").unwrap_or(name);
    KycState::ALL.iter().copied().find(|state| state.name() == name)
}

#[cfg(test)]
mod tests {
    use shared::problem::Reason;

    use super::*;

    #[test]
    fn every_field_is_read() {
        let filter = parse(
            "kind = PERSON AND state = STATE_ACTIVE AND kyc_state = EXPIRED AND labels.a = b \
             AND labels.\"c d\" = e AND external_ids.CRM = 7 AND \
             create_time >= \"2026-11-01T00:00:00Z\"",
        )
        .unwrap();
        assert_eq!(filter.kind, Some(CustomerKind::Person));
        assert_eq!(filter.state, Some(CustomerState::Active));
        assert_eq!(filter.kyc_state, Some(KycState::Expired));
        assert_eq!((filter.labels.len(), &*filter.labels["c d"]), (2, "e"));
        assert_eq!(filter.external_ids["CRM"], "7");
        assert!(filter.period.from.is_some() && filter.period.before.is_none());
        assert_eq!(parse("").unwrap(), CustomerFilter::default());
    }

    #[test]
    fn what_is_refused_says_where() {
        for (text, position, sentence) in [
            ("name = Anna", 1, "must compare kind, state,"),
            ("state = ACTIVE AND kyc_state = GOOD", 20, "must have a usable kyc_state"),
            ("labels.a = b AND labels.a = c", 18, "must have only one labels.a"),
            ("kind != PERSON", 1, "must compare with ="),
            ("create_time > \"2026-11-01T00:00:00Z\"", 1, "must compare times with >= or <"),
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.reason, Reason::FilterInvalid, "{text}");
            assert_eq!(problem.figures["position"], position.to_string(), "{text}: {problem}");
            assert!(problem.message.starts_with(sentence), "{text}: {problem}");
        }
    }
}
