//! What `bench records` has found: for people, and as one JSON object.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;

use super::cipher::Cipher;
use super::log::Verified;
use super::streams::Streams;
use crate::bench::case::grouped;
use crate::bench::closed::Loaded;
use crate::bench::machine::Machine;
use crate::bench::report::whole;

const DIM: Style = Style::new().dimmed();
const REPORTED: &str = "reported";
const GIGA: f64 = 1e9;
const MEBI: u64 = 1 << 20;

/// Calls against their floor.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    loaded: Loaded,
    ratio_floor: f64,
}

impl Line {
    /// The medians of several rounds.
    pub(super) fn new(rounds: &[Loaded], floor: f64) -> Self {
        let loaded = Loaded::medians(rounds);
        Self { loaded, ratio_floor: loaded.per_second / floor }
    }
}

/// Everything that a run has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) settings: BTreeMap<&'static str, String>,
    pub(super) callers: usize,
    pub(super) size_bytes: usize,
    pub(super) insert_per_second: f64,
    pub(super) select_per_second: f64,
    pub(super) create: Line,
    pub(super) read: Line,
    /// The most bytes that the service had resident while it was called.
    pub(super) memory_of_calls: Option<u64>,
    pub(super) streams: Streams,
    pub(super) cipher: Cipher,
    pub(super) verified: Verified,
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
        writeln!(out, "| work | measured | must | aim |\n|---|---|---|---|")?;
        for [work, measured, must, aim] in self.rows() {
            writeln!(out, "| {work} | {measured} | {must} | {aim} |")?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<[String; 4]> {
        let mut rows = self.calls();
        rows.extend(self.bodies());
        rows
    }

    /// What is called by many at once.
    fn calls(&self) -> Vec<[String; 4]> {
        let (size, callers) = (grouped(self.size_bytes as u64), self.callers);
        let floors =
            format!("{}/s, {}/s", whole(self.insert_per_second), whole(self.select_per_second));
        vec![
            row(&format!("INSERT, SELECT of {size} bytes by pgbench"), floors, REPORTED, ""),
            row(
                &format!("CreateRecord of {size} bytes, {callers} callers, p50 / p99"),
                self.create.loaded.to_string(),
                REPORTED,
                "",
            ),
            row("the same, x INSERT", times(self.create.ratio_floor), "0.2", "0.4"),
            row(
                &format!("audited GetRecord in full, {callers} callers, p50 / p99"),
                self.read.loaded.to_string(),
                REPORTED,
                "",
            ),
            row("the same, x SELECT", times(self.read.ratio_floor), "0.1", "0.2"),
            row("memory of the service under these", memory(self.memory_of_calls), REPORTED, ""),
        ]
    }

    /// What is as fast as the cipher and the disk let it be.
    fn bodies(&self) -> Vec<[String; 4]> {
        let Streams { mebibytes, upload, download, memory_bytes } = &self.streams;
        let gigabytes = |rate: f64| format!("{:.2} GB/s", rate / GIGA);
        let (sealing, opening) =
            (self.cipher.seal_bytes_per_second, self.cipher.open_bytes_per_second);
        let Verified { leaves, seconds } = self.verified;
        vec![
            row(
                &format!("a body of {mebibytes} MiB streamed in / out"),
                format!("{} / {} MiB/s", whole(upload.sealed), whole(download.sealed)),
                REPORTED,
                "",
            ),
            row(
                "the same, x unsealed",
                format!("{} / {}", times(upload.ratio), times(download.ratio)),
                "0.5",
                "0.8",
            ),
            row("memory of the service under it", memory(*memory_bytes), "128 MiB", "64 MiB"),
            row(
                "sealed / opened in memory, one core",
                format!("{} / {}", gigabytes(sealing), gigabytes(opening)),
                "1 GB/s",
                "2 GB/s",
            ),
            row(
                &format!("{} entries of the log verified offline", grouped(leaves as u64)),
                format!("{seconds:.1} s"),
                "10 s",
                "3 s",
            ),
        ]
    }
}

fn row(work: &str, measured: String, must: &str, aim: &str) -> [String; 4] {
    [work.to_owned(), measured, must.to_owned(), aim.to_owned()]
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} MiB", bytes.div_ceil(MEBI)))
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}
