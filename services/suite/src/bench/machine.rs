//! The machine that is measured on.

use std::fs;
use std::num::NonZeroUsize;
use std::thread;

use serde::Serialize;

/// A machine, as far as figures depend on it.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) processor: String,
    pub(super) memory_bytes: u64,
    pub(super) kernel: String,
    /// "release", or "debug", whose figures mean nothing.
    pub(super) build: &'static str,
}

impl Machine {
    /// This one.
    pub(super) fn this() -> Self {
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
