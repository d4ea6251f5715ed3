//! The transactions service from outside: the generated client, over a real schema.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod account_lists;
mod as_of;
mod attributes;
mod auditor;
mod bad_input;
mod batches;
mod books;
mod cancelled;
mod captures;
mod closing;
mod concurrency;
mod currencies;
mod defence;
mod dispositions;
mod entries;
mod erasures;
mod events;
mod explain;
mod forced;
mod freezes;
mod gate;
mod hold_expiry;
mod hold_lists;
mod holds;
mod imports;
mod lapses;
mod limits;
mod links;
mod list_plans;
mod lists;
mod mixed_batches;
mod model;
mod outcomes;
mod periods;
mod plans;
mod postings;
mod preconditions;
mod redactions;
mod reopening;
mod repeats;
mod replicas;
mod requests;
mod same_id;
mod setup;
mod several_tenants;
mod statement_documents;
mod statements;
mod time_plans;
mod timelines;
mod trial_balances;
mod two;
mod unknown_accounts;
mod verify;

use shared::testing::{TestDatabase, print_schema};

/// `UPDATE_SCHEMA=1` writes the file anew.
#[test]
fn schema_rs_is_what_the_migrations_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/schema.rs");
    let written = std::fs::read_to_string(path).unwrap();
    let (head, _) = written.split_once("diesel::table!").unwrap();
    let (_, tail) = written.split_once("diesel::allow_tables").unwrap();
    let tables = print_schema(&TestDatabase::new(transactions::SERVICE.schema));
    let expected = format!("{head}{tables}diesel::allow_tables{tail}");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert_eq!(written, expected);
    }
}
