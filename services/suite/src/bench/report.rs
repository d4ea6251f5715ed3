//! What a run has found: for people, and as one JSON object.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::figures::{self, Figures, FloorFigures, Use, float};
use super::options::{Arguments, grouped};
use super::run::Measured;
use super::sql::Rows;
use super::table;

/// Characters of a line beside its title.
const COLUMNS: usize = 88;
const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Everything that a run has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The load that was asked for, in the object itself; none with --all.
    #[serde(flatten)]
    asked: Option<Figures>,
    /// All loads.
    loads: Vec<Figures>,
    floors: Vec<FloorFigures>,
    machine: Machine,
    settings: BTreeMap<&'static str, String>,
    /// How long a write and a flush take on the disk below Postgres.
    flush_ms: f64,
    accounts: u64,
    fill: u64,
    seconds: f64,
    warm_up_seconds: f64,
    checkpoints: i64,
    /// What is in the books, all of which was checked.
    transfers_checked: u64,
    rows: Vec<Rows>,
    /// Where the floor "same rows" writes something else than the service: then the ratio to it
    /// does not hold.
    differences: Vec<String>,
    #[serde(skip)]
    is_all: bool,
}

#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    memory_bytes: u64,
    kernel: String,
    /// "release", or "debug", whose figures mean nothing.
    build: &'static str,
}

/// What was found in the books.
pub(super) struct Checked {
    pub(super) rows: Vec<Rows>,
    pub(super) differences: Vec<String>,
}

/// What is known beside the measurements.
pub(super) struct Around {
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) flush: Duration,
    pub(super) books: Checked,
}

impl Report {
    /// Turns rounds into figures.
    pub(super) fn new(arguments: &Arguments, measured: &Measured, around: Around) -> Self {
        let loads = measured.cases.iter().map(|case| figures::figures(case, measured));
        let loads: Vec<Figures> = loads.collect();
        Self {
            asked: loads.first().filter(|_| !arguments.all).cloned(),
            loads,
            floors: figures::floors(measured),
            machine: Machine::this(),
            settings: around.settings.into_iter().collect(),
            flush_ms: around.flush.as_secs_f64() * 1e3,
            accounts: arguments.accounts,
            fill: arguments.fill,
            seconds: arguments.length().as_secs_f64(),
            warm_up_seconds: arguments.warm_up.as_secs_f64(),
            checkpoints: measured.checkpoints,
            transfers_checked: measured.acknowledged,
            rows: around.books.rows,
            differences: around.books.differences,
            is_all: arguments.all,
        }
    }

    /// Prints it as JSON.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Prints it for people.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        self.surroundings(out)?;
        self.paces(out)?;
        if let Some(asked) = &self.asked {
            ratios(out, asked)?;
            costs(out, asked)?;
        }
        if self.is_all {
            writeln!(out)?;
            write!(out, "{}", table::markdown(&self.loads))?;
        }
        self.checks(out)
    }

    fn surroundings(&self, out: &mut impl Write) -> io::Result<()> {
        let Machine { cores, processor, memory_bytes, kernel, build } = &self.machine;
        let memory = gibibytes(*memory_bytes);
        writeln!(out, "{TITLE}machine{TITLE:#}   {cores} cores, {processor}, {memory}, {kernel}")?;
        if *build == "debug" {
            writeln!(out, "{BAD}a debug build: these figures mean nothing{BAD:#}")?;
        }
        let settings = self.settings.iter().map(|(name, value)| format!("{name} {value}"));
        let flush = format!("a flush takes {:.3} ms", self.flush_ms);
        let settings = wrapped(settings.chain([flush]));
        writeln!(out, "{TITLE}postgres{TITLE:#}  {settings}")?;
        let (rounds, accounts) = (self.loads.first(), grouped(self.accounts));
        let rounds = rounds.map_or(0, |load| load.rounds.len());
        writeln!(
            out,
            "{TITLE}runs{TITLE:#}      median of {rounds} rounds of {} s after {} s each, in turn, \
             {accounts} accounts, {} transfers before, {} checkpoints",
            self.seconds,
            self.warm_up_seconds,
            grouped(self.fill),
            self.checkpoints
        )
    }

    fn paces(&self, out: &mut impl Write) -> io::Result<()> {
        let head = ["transfers/s", "p50 ms", "p99 ms", "p99.9 ms", "per commit"];
        let [rate, p50, p99, p999, commit] = head;
        writeln!(out)?;
        writeln!(out, "{DIM}{:<38}{rate:>12}{p50:>10}{p99:>10}{p999:>10}{commit:>12}{DIM:#}", "")?;
        for floor in &self.floors {
            let hot = if floor.hot { ", one hot account" } else { "" };
            let clients = if floor.clients == 1 { "client" } else { "clients" };
            let name = format!("pgbench, {}{hot}, {} {clients}", floor.floor.name(), floor.clients);
            write!(out, "{name:<38}{:>12}", whole(floor.per_second))?;
            match floor.p50_ms {
                Some(p50) => writeln!(out, "{p50:>10.2}{DIM}  (one client){DIM:#}")?,
                None => writeln!(out)?,
            }
        }
        for load in &self.loads {
            let commit =
                load.transfers_per_commit.map_or_else(|| "-".to_owned(), |n| format!("{n:.1}"));
            writeln!(
                out,
                "{:<38}{:>12}{:>10.2}{:>10.2}{:>10.2}{commit:>12}",
                load.case.title(),
                whole(load.per_second),
                load.p50_ms,
                load.p99_ms,
                load.p999_ms
            )?;
        }
        Ok(())
    }

    fn checks(&self, out: &mut impl Write) -> io::Result<()> {
        let checked = grouped(self.transfers_checked);
        writeln!(
            out,
            "\n{checked} transfers acknowledged; all of them and nothing else are in the books, \
             which sum to zero."
        )?;
        for difference in &self.differences {
            writeln!(out, "{BAD}the floor \"same rows\" is not up to date:{BAD:#} {difference}")?;
        }
        Ok(())
    }
}

fn ratios(out: &mut impl Write, load: &Figures) -> io::Result<()> {
    let ratios = [
        (load.ratio_same_rows, "x same rows"),
        (load.ratio_bare, "x bare"),
        (load.ratio_p50, "x the p50 of one pgbench client"),
        (load.ratio_plain, "x the same load without what is special in it"),
    ];
    let known = ratios.iter().filter_map(|(ratio, what)| Some((ratio.as_ref()?, what)));
    for (index, (ratio, what)) in known.enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        writeln!(out, "{gap}{TITLE}{ratio:>6.2}{TITLE:#} {what}")?;
    }
    Ok(())
}

fn costs(out: &mut impl Write, load: &Figures) -> io::Result<()> {
    let (disk, wal) = (whole(load.bytes_per_transfer), whole(load.wal_bytes_per_transfer));
    writeln!(out, "\na transfer takes {disk} bytes of disk and {wal} of write-ahead log")?;
    writeln!(out, "{DIM}{:<12}{:>8}{:>14}{:>12}{DIM:#}", "", "cpus", "µs/transfer", "memory")?;
    for (name, Use { cpus, cpu_micros_per_transfer, memory_bytes, .. }) in
        [("service", load.service), ("callers", load.callers_process), ("postgres", load.postgres)]
    {
        let (cpus, each) = (cpus.unwrap_or_default(), cpu_micros_per_transfer.unwrap_or_default());
        let memory = mebibytes(memory_bytes.unwrap_or_default());
        writeln!(out, "{name:<12}{cpus:>8.2}{each:>14.1}{memory:>12}")?;
    }
    if let Some(peak) = load.memory_bytes {
        writeln!(out, "the service had at most {} resident", mebibytes(peak))?;
    }
    let (rejections, retries) = (grouped(load.rejections), grouped(load.retries));
    writeln!(out, "{rejections} rejected, {retries} repeated")
}

impl Machine {
    fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned())
        };
        let processor = value(&read("/proc/cpuinfo"), "model name");
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.and_then(|memory| memory.strip_suffix(" kB")?.parse::<u64>().ok());
        let system = std::env::consts::OS;
        Self {
            cores: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            memory_bytes: kilobytes.unwrap_or_default() * 1_024,
            kernel: format!("{system} {}", read("/proc/sys/kernel/osrelease").trim()),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// Words with commas, on lines that line up with the first.
fn wrapped(words: impl Iterator<Item = String>) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in words {
        if column + word.len() > COLUMNS {
            text += ",\n          ";
            column = 0;
        } else if column > 0 {
            text += ", ";
        }
        column += word.len() + 2;
        text += &word;
    }
    text
}

/// A figure without decimals, with commas.
pub(super) fn whole(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    grouped(value.round() as u64)
}

pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", float(bytes) / 1_048_576.0)
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.0} GiB", float(bytes) / 1_073_741_824.0)
}
