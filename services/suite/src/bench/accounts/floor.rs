//! The floors: the rows that a call leaves behind, written by pgbench as one SQL transaction, and a
//! row read by its key.

use diesel::connection::SimpleConnection as _;
use serde::Serialize;

use super::Arguments;
use crate::bench::error::BenchError;
use crate::bench::pgbench::Pgbench;
use crate::bench::place::Place;
use crate::bench::sql::Admin;

/// The role of the runs: that of the service.
const ROLE: &str = "strongroom_accounts";
/// Columns that are other ones in every row.
const IDS: &str = "'id', 'account_id', 'subject_id', 'record_id'";

/// What the floor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Floor {
    /// Writes the rows that are a customer with a sealed profile.
    Customer,
    /// Writes the rows that are an account and its ledger account.
    Account,
    /// Reads the row of an account.
    Select,
}

impl Floor {
    pub(super) const ALL: [Self; 3] = [Self::Customer, Self::Account, Self::Select];

    /// The name of its script.
    pub(super) fn script(self) -> &'static str {
        match self {
            Self::Customer => "customer.sql",
            Self::Account => "account.sql",
            Self::Select => "select.sql",
        }
    }

    /// The tables of the rows that it writes, in their schemas.
    fn tables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Customer => &[
                ("accounts", "customers"),
                ("records", "subjects"),
                ("records", "records"),
                ("records", "record_versions"),
            ],
            Self::Account => &[
                ("accounts", "accounts"),
                ("accounts", "account_holders"),
                ("transactions", "ledger_accounts"),
            ],
            Self::Select => &[],
        }
    }

    /// Makes its tables, as the services have them but for policies and triggers, and gives the
    /// script. Blocks.
    fn prepare(self, admin: &mut Admin) -> Result<String, BenchError> {
        if self == Self::Select {
            admin.0.batch_execute(
                "CREATE TABLE accounts.floor_numbered AS \
                     SELECT row_number() OVER () AS n, a.* FROM accounts.accounts AS a; \
                 ALTER TABLE accounts.floor_numbered ADD PRIMARY KEY (n); \
                 GRANT SELECT ON accounts.floor_numbered TO strongroom_accounts",
            )?;
            return Ok("\\set n random(1, :accounts)\n\
                       SELECT * FROM accounts.floor_numbered WHERE n = :n;\n"
                .to_owned());
        }
        let mut script = vec!["BEGIN;\n".to_owned()];
        for (schema, table) in self.tables() {
            admin.0.batch_execute(&format!(
                "CREATE TABLE accounts.floor_{table} (LIKE {schema}.{table} INCLUDING INDEXES); \
                 CREATE TABLE accounts.floor_{table}_row AS \
                     SELECT * FROM {schema}.{table} LIMIT 1; \
                 GRANT SELECT, INSERT \
                     ON accounts.floor_{table}, accounts.floor_{table}_row TO {ROLE}"
            ))?;
            let columns = admin.text(&format!(
                "SELECT string_agg(CASE WHEN column_name IN ({IDS}) THEN 'gen_random_uuid()' \
                     ELSE quote_ident(column_name) END, ', ' ORDER BY ordinal_position) \
                 FROM information_schema.columns \
                 WHERE table_schema = '{schema}' AND table_name = '{table}'"
            ))?;
            script.push(format!(
                "INSERT INTO accounts.floor_{table} \
                 SELECT {columns} FROM accounts.floor_{table}_row;\n"
            ));
        }
        script.push("COMMIT;\n".to_owned());
        Ok(script.concat())
    }
}

/// Makes the tables of the floors from what is there, and pgbench with the scripts. Blocks.
pub(super) fn pgbench(place: &Place, arguments: &Arguments) -> Result<Pgbench, BenchError> {
    let mut admin: Admin = place.admin()?;
    let mut scripts = Vec::new();
    for floor in Floor::ALL {
        scripts.push((floor.script(), floor.prepare(&mut admin)?));
    }
    admin.settle()?;
    let scripts: Vec<(&str, &str)> =
        scripts.iter().map(|(name, script)| (*name, script.as_str())).collect();
    let accounts = arguments.customers.to_string();
    Pgbench::find(place, ROLE, &scripts, vec![("accounts", accounts)])
}
