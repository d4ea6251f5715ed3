//! What `bench accounts` has found: for people, and as one JSON object.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;

use super::load::Kind;
use crate::bench::case::grouped;
use crate::bench::closed::Loaded;
use crate::bench::machine::Machine;
use crate::bench::report::{mebibytes, whole};

const DIM: Style = Style::new().dimmed();

/// Calls, against their floor where they have one.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Call {
    kind: Kind,
    #[serde(flatten)]
    loaded: Loaded,
    ratio_floor: Option<f64>,
}

impl Call {
    /// The medians of several rounds.
    pub(super) fn new(kind: Kind, rounds: &[Loaded], floor: Option<f64>) -> Self {
        let loaded = Loaded::medians(rounds);
        Self { kind, loaded, ratio_floor: floor.map(|floor| loaded.per_second / floor) }
    }
}

/// Everything that a run has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) settings: BTreeMap<&'static str, String>,
    pub(super) callers: usize,
    /// Customers that were created, and how long it took.
    pub(super) customers: usize,
    pub(super) customers_seconds: f64,
    /// Accounts that were created, and how long it took.
    pub(super) accounts: usize,
    pub(super) accounts_seconds: f64,
    /// How long the comparison of all of them with the ledger took, which agreed.
    pub(super) compared_seconds: f64,
    /// The rows of a customer written, those of an account written, one read.
    pub(super) floors_per_second: [f64; 3],
    pub(super) calls: Vec<Call>,
    /// The most bytes that accounts had resident.
    pub(super) memory_bytes: Option<u64>,
}

impl Report {
    /// Prints it as JSON.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Prints it for people: the settings, and the table of the README.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Machine { cores, processor, memory_bytes, kernel, build } = &self.machine;
        let memory = memory_bytes.div_ceil(1 << 30);
        writeln!(out, "{DIM}machine{DIM:#}  {cores} cores, {processor}, {memory} GiB, {kernel}")?;
        writeln!(out, "{DIM}build{DIM:#}    {build}")?;
        let settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(out, "{DIM}postgres{DIM:#} {}\n", settings.join(", "))?;
        writeln!(out, "| work | measured |\n|---|---|")?;
        for (work, measured) in self.rows() {
            writeln!(out, "| {work} | {measured} |")?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<(String, String)> {
        let [customer, account, select] = self.floors_per_second.map(whole);
        let number = |count: usize| grouped(count as u64);
        let (customers, accounts) = (number(self.customers), number(self.accounts));
        let mut rows = vec![
            (
                format!("{customers} customers, then {accounts} accounts through the API"),
                format!("{:.1} s, {:.1} s", self.customers_seconds, self.accounts_seconds),
            ),
            (
                "all of them compared with the ledger".to_owned(),
                format!("{:.1} s, no disagreement", self.compared_seconds),
            ),
            (
                "INSERT of a customer's rows, of an account's; SELECT of one, by pgbench"
                    .to_owned(),
                format!("{customer}/s, {account}/s; {select}/s"),
            ),
        ];
        for Call { kind, loaded, ratio_floor } in &self.calls {
            let work = format!("{}, {} callers, p50 / p99", kind.name(), self.callers);
            rows.push((work, loaded.to_string()));
            rows.extend(
                ratio_floor.map(|ratio| ("the same, x pgbench".to_owned(), format!("{ratio:.3}"))),
            );
        }
        let memory = self.memory_bytes.map_or_else(|| "-".to_owned(), mebibytes);
        rows.push(("memory of accounts under these".to_owned(), memory));
        rows
    }
}
