//! The floors: the same transfer by pgbench, as one SQL transaction each.

use serde::Serialize;
use uuid::Uuid;

use super::error::BenchError;
use super::pgbench::{Pace, Pgbench};
use super::place::Place;

/// The role of the runs.
const ROLE: &str = "strongroom_transactions";

/// What the floor writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Floor {
    /// The least that is still a ledger.
    Bare,
    /// What the engine writes.
    SameRows,
}

impl Floor {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::SameRows => "same rows",
        }
    }

    fn script(self) -> (&'static str, &'static str) {
        match self {
            Self::Bare => ("bare.sql", include_str!("floors/bare.sql")),
            Self::SameRows => ("same_rows.sql", include_str!("floors/same_rows.sql")),
        }
    }
}

/// One run of a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) floor: Floor,
    pub(super) hot: bool,
    pub(super) clients: u32,
    pub(super) seconds: u64,
}

impl Run {
    /// Runs it.
    pub(super) async fn on(self, pgbench: &Pgbench) -> Result<Pace, BenchError> {
        let hot = [("hot", u8::from(self.hot).to_string())];
        pgbench.run(self.floor.script().0, self.clients, self.seconds, &hot).await
    }
}

/// pgbench with the scripts of the floors. Blocks.
pub(super) fn pgbench(place: &Place, tenant: Uuid, accounts: u64) -> Result<Pgbench, BenchError> {
    let scripts = [Floor::Bare.script(), Floor::SameRows.script()];
    let defines = vec![("accounts", accounts.to_string()), ("tenant", tenant.to_string())];
    Pgbench::find(place, ROLE, &scripts, defines)
}
