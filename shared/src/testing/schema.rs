//! Prints a migrated schema as diesel's `table!`, so that a test can keep `schema.rs` equal to the
//! migrations without the diesel command line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};

use super::TestDatabase;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
    /// The place in the primary key, from 1; 0 outside it.
    #[diesel(sql_type = Integer)]
    key: i32,
}

const COLUMNS: &str = "
    SELECT c.relname::text AS table, a.attname::text AS name,
           format_type(a.atttypid, NULL) AS kind, NOT a.attnotnull AS nullable,
           coalesce(array_position(k.conkey, a.attnum), 0) AS key
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND c.relname NOT IN ('__diesel_schema_migrations', 'schema_state', 'migration_lock',
                            'tenants', 'outcomes', 'changes', 'logs', 'log_tiles', 'checkpoints',
                            'timelines')
    ORDER BY c.relname, a.attnum";

/// The tables of a service, in alphabetical order, without those that every service has.
pub fn print_schema(database: &TestDatabase) -> String {
    let columns: Vec<Column> =
        diesel::sql_query(COLUMNS).load(&mut database.owner()).expect("the catalogue answers");
    let mut tables: BTreeMap<&str, Vec<&Column>> = BTreeMap::new();
    for column in &columns {
        tables.entry(&column.table).or_default().push(column);
    }
    let mut text = String::new();
    for (table, columns) in tables {
        let mut keys: Vec<&&Column> = columns.iter().filter(|column| column.key > 0).collect();
        keys.sort_by_key(|column| column.key);
        let keys: Vec<&str> = keys.iter().map(|column| &*column.name).collect();
        let _ = writeln!(text, "diesel::table! {{\n    {table} ({}) {{", keys.join(", "));
        for column in columns {
            let kind = rust_kind(&column.kind);
            let kind = if column.nullable { format!("Nullable<{kind}>") } else { kind };
            // A word that Rust keeps for itself.
            let name = match column.name.as_str() {
                "type" => "#[sql_name = \"type\"]\n        type_",
                "final" => "#[sql_name = \"final\"]\n        final_",
                name => name,
            };
            let _ = writeln!(text, "        {name} -> {kind},");
        }
        text.push_str("    }\n}\n\n");
    }
    text
}

fn rust_kind(kind: &str) -> String {
    if let Some(element) = kind.strip_suffix("[]") {
        return format!("Array<{}>", rust_kind(element));
    }
    match kind {
        "uuid" => "Uuid",
        "text" => "Text",
        "boolean" => "Bool",
        "smallint" => "SmallInt",
        "integer" => "Integer",
        "bigint" => "BigInt",
        "numeric" => "Numeric",
        "bytea" => "Binary",
        "date" => "Date",
        "timestamp with time zone" => "Timestamptz",
        "json" => "Json",
        "jsonb" => "Jsonb",
        other => panic!("no diesel type for {other}"),
    }
    .to_owned()
}
