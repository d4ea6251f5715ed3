//! The tables. Every function assumes a transaction, names the tenant, and is set-based where a
//! batch may be large.

pub(crate) mod currencies;
pub(crate) mod day_totals;
pub(crate) mod external_ids;
pub(crate) mod hold_events;
pub(crate) mod holds;
pub(crate) mod ledger_accounts;
pub(crate) mod limit_usages;
pub(crate) mod links;
pub(crate) mod postings;
pub(crate) mod schema;
pub(crate) mod texts;
pub(crate) mod transactions;

/// One value of each element, as a column of a set-based statement.
fn column<T, U>(all: &[T], value: impl Fn(&T) -> U) -> Vec<U> {
    all.iter().map(value).collect()
}
