//! The accounts service from outside: the generated client over a real schema, and its peers as
//! small servers that fail on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod account_changes;
mod account_lists;
mod accounts;
mod bad_input;
mod closing;
mod customer_changes;
mod customers;
mod erasures;
mod fakes;
mod freeze_races;
mod freezes;
mod holders;
mod isolation;
mod lifecycle;
mod limits;
mod lists;
mod reconcile;
mod relationships;
mod resume;
mod setup;
mod stops;
mod undelivered;
mod verification;

use shared::testing::{TestDatabase, print_schema};

/// `UPDATE_SCHEMA=1` writes the file anew.
#[test]
fn schema_rs_is_what_the_migrations_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/schema.rs");
    let written = std::fs::read_to_string(path).unwrap();
    let (head, _) = written.split_once("diesel::table!").unwrap();
    let tables = print_schema(&TestDatabase::new(::accounts::SERVICE.schema));
    let expected = format!("{head}{}\n", tables.trim_end());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert_eq!(written, expected);
    }
}
