//! What a run has found: for people, and as one JSON object.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::case::{Work, grouped};
use super::checks::Rows;
use super::figures::{self, Figures, FloorFigures, Use, float};
use super::machine::Machine;
use super::measured::Measured;
use super::options::{Arguments, Size};
use super::table;

/// Characters of a line beside its title.
const COLUMNS: usize = 88;
const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Everything that a run has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The load that was asked for, in the object itself; none where there are many.
    #[serde(flatten)]
    asked: Option<Figures>,
    /// All loads.
    loads: Vec<Figures>,
    floors: Vec<FloorFigures>,
    machine: Machine,
    settings: BTreeMap<&'static str, String>,
    /// How long a write and a flush take on the disk below Postgres.
    flush_ms: f64,
    books: Vec<Filled>,
    rounds: usize,
    seconds: f64,
    warm_up_seconds: f64,
    checkpoints: i64,
    /// What is in the books, all of which was checked.
    transfers_checked: u64,
    holds_checked: u64,
    rows: Vec<Rows>,
    /// Where the floor "same rows" writes something else than the service: then the ratio to it
    /// does not hold.
    differences: Vec<String>,
    /// The table of the README that this is, if it is one.
    #[serde(skip)]
    table: Option<fn(&[Figures]) -> String>,
}

/// Books, and how long it took to fill them.
#[derive(Debug, Serialize)]
struct Filled {
    #[serde(flatten)]
    size: Size,
    fill_seconds: f64,
}

/// What was found in the books.
#[derive(Debug, Default)]
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
    /// Turns rounds into figures, of small books before large ones.
    pub(super) fn new(arguments: &Arguments, measured: &[Measured], around: Around) -> Self {
        let mut loads = Vec::new();
        for (index, books) in measured.iter().enumerate() {
            let smaller = index.checked_sub(1).and_then(|index| measured.get(index));
            loads.extend(books.cases.iter().map(|case| figures::figures(case, books, smaller)));
        }
        let is_one = !(arguments.all || arguments.sizes || arguments.lists);
        let filled = |books: &Measured| Filled {
            size: books.size,
            fill_seconds: books.filling.as_secs_f64().round(),
        };
        Self {
            asked: loads.first().filter(|_| is_one).cloned(),
            loads,
            floors: measured.iter().flat_map(figures::floors).collect(),
            machine: Machine::this(),
            settings: around.settings.into_iter().collect(),
            flush_ms: around.flush.as_secs_f64() * 1e3,
            books: measured.iter().map(filled).collect(),
            rounds: arguments.rounds,
            seconds: arguments.length().as_secs_f64(),
            warm_up_seconds: arguments.warm_up.as_secs_f64(),
            checkpoints: measured.iter().map(|books| books.checkpoints).sum(),
            transfers_checked: measured.iter().map(Measured::transfers).sum(),
            holds_checked: measured.iter().map(|books| books.acknowledged(Work::Holds)).sum(),
            rows: around.books.rows,
            differences: around.books.differences,
            table: match (arguments.all, arguments.sizes) {
                (true, _) => Some(table::loads),
                (_, true) => Some(table::sizes),
                _ => None,
            },
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
        if let Some(table) = self.table {
            writeln!(out)?;
            write!(out, "{}", table(&self.loads))?;
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
        writeln!(
            out,
            "{TITLE}runs{TITLE:#}      median of {} rounds of {} s after {} s each, in turn, {} \
             checkpoints",
            self.rounds, self.seconds, self.warm_up_seconds, self.checkpoints
        )?;
        for Filled { size: Size { accounts, fill }, fill_seconds } in &self.books {
            let (accounts, fill) = (grouped(*accounts), grouped(*fill));
            write!(out, "{TITLE}books{TITLE:#}     {accounts} accounts, {fill} transfers before")?;
            match fill_seconds {
                0.0 => writeln!(out)?,
                seconds => writeln!(out, ", written in {seconds} s")?,
            }
        }
        Ok(())
    }

    fn paces(&self, out: &mut impl Write) -> io::Result<()> {
        let head = ["per second", "p50 ms", "p99 ms", "p99.9 ms", "per commit"];
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
        let mut books = self.books.first().map(|books| books.size);
        for load in &self.loads {
            if books.replace(load.books) != Some(load.books) {
                writeln!(out, "{DIM}in the larger books{DIM:#}")?;
            }
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
        let transfers = grouped(self.transfers_checked);
        let holds = match self.holds_checked {
            0 => String::new(),
            holds => format!(" and {} holds", grouped(holds)),
        };
        writeln!(
            out,
            "\n{transfers} transfers{holds} acknowledged; all of them and nothing else are in the \
             books, which sum to zero."
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
        (load.ratio_p99, "x its p99 without what comes in bulk"),
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
