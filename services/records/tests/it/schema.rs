//! `schema.rs` says what the migrations make.

use records::SERVICE;
use shared::task;
use shared::testing::{TestDatabase, print_schema};

const HEADER: &str = "//! The tables of the migrations, as diesel has them.\n\n";

#[tokio::test]
async fn schema_rs_equals_the_migrations() {
    let print = || print_schema(&TestDatabase::new(SERVICE.schema));
    let printed = task::blocking(print).await.unwrap();
    let printed = format!("{HEADER}{}\n", printed.trim_end());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/schema.rs");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), printed, "set UPDATE_SCHEMA=1 to rewrite");
}
