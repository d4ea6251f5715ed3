//! The tables. Every function assumes a transaction, names the tenant, and is set-based where a
//! batch may be large.

pub(crate) mod audits;
pub(crate) mod balances_at;
pub(crate) mod calendars;
pub(crate) mod currencies;
pub(crate) mod day_totals;
pub(crate) mod entries;
pub(crate) mod erasures;
pub(crate) mod external_ids;
pub(crate) mod hold_events;
pub(crate) mod hold_lists;
pub(crate) mod hold_texts;
pub(crate) mod holds;
pub(crate) mod leaves;
pub(crate) mod ledger_account_lists;
pub(crate) mod ledger_accounts;
pub(crate) mod limit_usages;
pub(crate) mod links;
pub(crate) mod mismatches;
pub(crate) mod periods;
pub(crate) mod place;
pub(crate) mod postings;
pub(crate) mod redactions;
pub(crate) mod schema;
pub(crate) mod statement_lines;
pub(crate) mod statements;
pub(crate) mod texts;
pub(crate) mod transaction_lists;
pub(crate) mod transactions;
pub(crate) mod trial_balances;
pub(crate) mod verify;

use shared::time::Timestamp;

/// Where a list begins and ends that is asked for no time: 0001-01-01 and 9999-12-31.
const EARLIEST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// One value of each element, as a column of a set-based statement.
fn column<T, U>(all: &[T], value: impl Fn(&T) -> U) -> Vec<U> {
    all.iter().map(value).collect()
}

/// Lists of these lengths, one after the other in one array: where each begins and ends, as slices
/// of an array are written in SQL.
fn slices(lengths: impl IntoIterator<Item = usize>) -> (Vec<i32>, Vec<i32>) {
    let mut end = 0;
    let slice = |length: usize| {
        let first = end + 1;
        end += i32::try_from(length).unwrap_or(i32::MAX);
        (first, end)
    };
    lengths.into_iter().map(slice).unzip()
}
