//! Migrations: one runner at a time, and no serving of what does not fit.

use diesel::connection::SimpleConnection as _;
use shared::db::{MigrateError, check_schema, migrate};
use shared::testing::{TestDatabase, urls};

use crate::setup::SCHEMA;

#[test]
fn runners_that_start_together_migrate_once() {
    let database = TestDatabase::empty(SCHEMA);
    std::thread::scope(|scope| {
        let run = || migrate(&database.owner_url, &database.name, SCHEMA);
        let runners: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        for runner in runners {
            runner.join().unwrap().unwrap();
        }
    });
    database.check().unwrap();
}

#[test]
fn a_schema_that_is_behind_is_not_served() {
    let database = TestDatabase::empty(SCHEMA);
    let error = database.check().unwrap_err();
    assert!(matches!(&error, MigrateError::Behind(missing) if missing.contains("901")), "{error}");
}

#[test]
fn a_schema_may_ask_for_a_newer_binary() {
    let database = TestDatabase::new(SCHEMA);
    database.owner().batch_execute("UPDATE schema_state SET min_binary = 2").unwrap();
    let error = database.check().unwrap_err();
    assert!(matches!(error, MigrateError::TooOld { min_binary: 2, binary: 1 }), "{error}");
}

#[test]
fn an_administrator_is_refused_as_a_runtime_role() {
    let database = TestDatabase::new(SCHEMA);
    let runtime = urls(SCHEMA.name).runtime;
    assert_eq!(runtime, database.runtime_url);
    let error = check_schema(&database.admin_url(), &database.name, SCHEMA).unwrap_err();
    assert!(matches!(error, MigrateError::Privileged), "{error}");
    let error = check_schema(&database.owner_url, &database.name, SCHEMA).unwrap_err();
    assert!(matches!(error, MigrateError::Owner), "{error}");
}

#[test]
fn a_url_that_cannot_be_read_is_not_quoted() {
    for url in ["postgres://u:se%cret@127.0.0.1/db", "u:se%cret@127.0.0.1"] {
        let error = check_schema(url, "transactions", SCHEMA).unwrap_err().to_string();
        assert!(!error.contains("cret"), "{error}");
    }
    let error = check_schema("postgres://u:secret@127.0.0.1:1/db", "transactions", SCHEMA);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("port 1 failed") && !error.contains("secret"), "{error}");
}
