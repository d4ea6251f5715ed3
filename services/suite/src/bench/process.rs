//! What processes use, as `proc(5)` tells it.

use std::fs;
use std::time::Duration;

/// Processor time that a process and its children have used since their start; none where the
/// system does not tell.
pub(super) fn cpu(pid: u32) -> Option<Duration> {
    let own = Stat::read(pid)?;
    let children = processes().filter(|(_, stat)| stat.parent == pid);
    Some(own.cpu + own.ended + children.map(|(_, stat)| stat.cpu).sum::<Duration>())
}

/// Bytes of memory that a process and its children have now. What several share counts once.
pub(super) fn memory(pid: u32) -> Option<u64> {
    let children = processes().filter(|(_, stat)| stat.parent == pid);
    // One may have ended meanwhile.
    let children = children.filter_map(|(child, _)| proportional(child));
    Some(proportional(pid)? + children.sum::<u64>())
}

/// The most bytes that a process has had resident at once.
pub(super) fn peak(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    bytes(&text, "VmHWM:")
}

fn processes() -> impl Iterator<Item = (u32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid)?)))
}

/// The part of `/proc/<pid>/stat` that is needed.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    cpu: Duration,
    /// Of children that have ended and were waited for.
    ended: Duration,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&text, rustix::param::clock_ticks_per_second())
    }

    fn parse(text: &str, ticks_per_second: u64) -> Option<Self> {
        // The second field is a name in parentheses, which may hold spaces and parentheses.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let time = |from: usize| {
            let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
            let millis = (ticks(from)? + ticks(from + 1)?) * 1_000 / ticks_per_second;
            Some(Duration::from_millis(millis))
        };
        Some(Self { parent: fields.get(1)?.parse().ok()?, cpu: time(11)?, ended: time(13)? })
    }
}

/// The proportional set size: each shared page counts by its share.
fn proportional(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    bytes(&text, "Pss:")
}

/// The value of a line such as `VmHWM:     1234 kB`.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kilobytes: u64| kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        let stat = "17 (a) S 9 (b) S 4 1 1 0 -1 4194304 7 8 9 10 150 50 20 30 20 0 1 0 5";
        let expected =
            Stat { parent: 4, cpu: Duration::from_secs(2), ended: Duration::from_millis(500) };
        assert_eq!(Stat::parse(stat, 100), Some(expected));
        assert_eq!(Stat::parse("17 (a", 100), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(bytes("Rss:  8 kB\nPss:    4 kB\nPss_Dirty: 9 kB\n", "Pss:"), Some(4_096));
        assert_eq!(bytes("Pss: many\n", "Pss:"), None);
    }
}
