//! The floors: a row of the same size, written and read by pgbench, one statement in a transaction.

use super::Arguments;
use crate::bench::error::BenchError;
use crate::bench::pgbench::Pgbench;
use crate::bench::place::Place;
use crate::bench::sql::Admin;
use crate::error::Error;
use diesel::connection::SimpleConnection as _;

/// The role of the runs: that of the service.
const ROLE: &str = "strongroom_records";
/// The rows are sealed bytes as far as Postgres can see: they do not compress.
const SCHEMA: &str = "\
    CREATE TABLE floor_bodies (
        n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL);
    ALTER TABLE floor_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
    GRANT SELECT, INSERT ON floor_bodies TO strongroom_records;";

/// What the floor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Floor {
    /// Writes a row, whose bytes come from the client.
    Insert,
    /// Reads one by its key.
    Select,
}

impl Floor {
    /// The name of its script, and the script.
    pub(super) fn script(self) -> (&'static str, &'static str) {
        match self {
            Self::Insert => ("insert.sql", "INSERT INTO floor_bodies (body) VALUES (:body);\n"),
            Self::Select => (
                "select.sql",
                "\\set n random(1, :documents)\nSELECT body FROM floor_bodies WHERE n = :n;\n",
            ),
        }
    }
}

/// Makes the table of the floors with as many rows as there are documents. Blocks.
pub(super) fn prepare(place: &Place, arguments: &Arguments) -> Result<(), Error> {
    let mut admin: Admin = place.admin()?;
    let (size, documents) = (arguments.size, arguments.documents);
    let rows = format!(
        "SELECT decode(string_agg(md5(random()::text), ''), 'hex') \
         FROM generate_series(1, {documents}) AS d (n), \
              generate_series(1, {blocks}) AS b (i) GROUP BY d.n",
        blocks = size.div_ceil(16),
    );
    let statements = format!(
        "SET search_path TO records; {SCHEMA} \
         INSERT INTO floor_bodies (body) SELECT substr(body, 1, {size}) FROM ({rows}) r (body); \
         VACUUM (ANALYZE) floor_bodies;"
    );
    for statement in statements.split_inclusive(';') {
        admin.0.batch_execute(statement).map_err(BenchError::from)?;
    }
    Ok(())
}

/// pgbench with the scripts. Blocks.
pub(super) fn pgbench(place: &Place, arguments: &Arguments) -> Result<Pgbench, BenchError> {
    let scripts = [Floor::Insert.script(), Floor::Select.script()];
    let body: Vec<u8> = (0..arguments.size).map(|_| rand::random()).collect();
    let defines = vec![
        ("body", format!("\\x{}", shared::hex::hex(&body))),
        ("documents", arguments.documents.to_string()),
    ];
    Pgbench::find(place, ROLE, &scripts, defines)
}
