//! From rounds to figures: medians, sums and ratios.
//!
//! A ratio is taken within each round, between measurements that stood side by side, and its median
//! over the rounds is shown. So it may differ a little from the ratio of two medians.

use serde::Serialize;

use super::floor::Floor;
use super::options::Case;
use super::run::{CaseRounds, FloorRounds, Measured, Sample, Used};
use super::sql::Rows;

/// Rows of two writers are the same if their number and size differ by no more than this part.
const SAME: f64 = 0.05;
/// Tables that have rows before the first transfer.
const ACCOUNTS: &str = "ledger_accounts";

/// The figures of one floor.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FloorFigures {
    pub(super) floor: Floor,
    pub(super) hot: bool,
    /// The number of clients that is fastest.
    pub(super) clients: u32,
    pub(super) per_second: f64,
    /// With one client.
    pub(super) p50_ms: Option<f64>,
}

/// The figures of one load on the service.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    pub(super) case: Case,
    pub(super) per_second: f64,
    /// From when a call was due until its answer was there.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    /// Throughput to that of the floors; hot to hot.
    pub(super) ratio_same_rows: Option<f64>,
    pub(super) ratio_bare: Option<f64>,
    /// The median time to that of one pgbench client on the same rows.
    pub(super) ratio_p50: Option<f64>,
    /// Throughput to that of the same load without several tenants, replicas or a hot account.
    pub(super) ratio_plain: Option<f64>,
    /// What the ledger grew by, tables and indexes.
    pub(super) bytes_per_transfer: f64,
    pub(super) wal_bytes_per_transfer: f64,
    /// How many transfers shared a commit.
    pub(super) transfers_per_commit: Option<f64>,
    /// The most that the service has had resident, all replicas together.
    pub(super) memory_bytes: Option<u64>,
    pub(super) service: Use,
    pub(super) callers_process: Use,
    pub(super) postgres: Use,
    /// Transfers that were acknowledged, in all rounds with their warm-ups.
    pub(super) transfers: u64,
    pub(super) rejections: u64,
    pub(super) retries: u64,
    /// Throughput of each round.
    pub(super) rounds: Vec<f64>,
}

/// What processes used in one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Use {
    pub(super) cpu_seconds: Option<f64>,
    /// In processors that were busy all the time.
    pub(super) cpus: Option<f64>,
    /// Microseconds of processor time for a transfer.
    pub(super) cpu_micros_per_transfer: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
}

/// The median; none of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

/// The figures of all floors.
pub(super) fn floors(measured: &Measured) -> Vec<FloorFigures> {
    let figures = |floor: &FloorRounds| FloorFigures {
        floor: floor.floor,
        hot: floor.hot,
        clients: floor.clients,
        per_second: rounded(median(floor.rounds.iter().map(|pace| pace.per_second))),
        p50_ms: median(alone(floor)).map(|micros| round(micros / 1e3)),
    };
    measured.floors.iter().map(figures).collect()
}

/// The median times of a floor with one client, in microseconds.
fn alone(floor: &FloorRounds) -> impl Iterator<Item = f64> {
    floor.alone.iter().filter_map(|pace| pace.p50).map(float)
}

/// The figures of a load.
pub(super) fn figures(case: &CaseRounds, measured: &Measured) -> Figures {
    let rounds = &case.rounds;
    let over = |value: fn(&Sample) -> f64| rounded(median(rounds.iter().map(value)));
    let rates = || rounds.iter().map(|sample| sample.summary.per_second());
    let sum = |value: fn(&Sample) -> f64| rounds.iter().map(value).sum::<f64>();
    let transfers: u64 = rounds.iter().map(|sample| sample.summary.acknowledged).sum();
    let each = |total: f64| if transfers > 0 { (total / float(transfers)).round() } else { 0.0 };
    let floor = |floor: Floor, hot: bool| {
        measured.floors.iter().find(|rounds| rounds.floor == floor && rounds.hot == hot)
    };
    let to_floor = |which: Floor| {
        let paces = floor(which, case.case.hot)?.rounds.iter().map(|pace| pace.per_second);
        ratio(rates(), paces)
    };
    let plain = case.case.reference().and_then(|plain| {
        let plain = measured.cases.iter().find(|other| is_plain(&other.case, &plain))?;
        ratio(rates(), plain.rounds.iter().map(|sample| sample.summary.per_second()))
    });
    let medians = rounds.iter().map(|sample| float(sample.summary.latency.p50));
    Figures {
        case: case.case,
        per_second: rounded(median(rates())),
        p50_ms: over(|sample| float(sample.summary.latency.p50) / 1e3),
        p99_ms: over(|sample| float(sample.summary.latency.p99) / 1e3),
        p999_ms: over(|sample| float(sample.summary.latency.p999) / 1e3),
        max_ms: over(|sample| float(sample.summary.latency.max) / 1e3),
        ratio_same_rows: to_floor(Floor::SameRows),
        ratio_bare: to_floor(Floor::Bare),
        ratio_p50: floor(Floor::SameRows, false).and_then(|floor| ratio(medians, alone(floor))),
        ratio_plain: plain,
        bytes_per_transfer: each(sum(|sample| signed(sample.growth))),
        wal_bytes_per_transfer: each(sum(|sample| signed(sample.wal))),
        transfers_per_commit: median(rounds.iter().filter_map(|sample| sample.per_commit))
            .map(round),
        memory_bytes: rounds.iter().filter_map(|sample| sample.service.peak).max(),
        service: used(rounds, |sample| sample.service),
        callers_process: used(rounds, |sample| sample.callers),
        postgres: used(rounds, |sample| sample.postgres),
        transfers,
        rejections: rounds.iter().map(|sample| sample.summary.rejected).sum(),
        retries: rounds.iter().map(|sample| sample.summary.retried).sum(),
        rounds: rates().map(f64::round).collect(),
    }
}

/// Whether a load is what another is compared with. A thousand tenants with a caller each are
/// compared with the next number of callers that was measured.
fn is_plain(case: &Case, wanted: &Case) -> bool {
    let near = case.callers.abs_diff(wanted.callers) * 20 <= wanted.callers;
    near && case.reference().is_none() && case.rate == wanted.rate
}

fn used(rounds: &[Sample], of: fn(&Sample) -> Used) -> Use {
    let over = |value: &dyn Fn(&Sample, f64) -> f64| {
        let each = |sample| Some(value(sample, of(sample).cpu?.as_secs_f64()));
        median(rounds.iter().filter_map(each)).map(round)
    };
    Use {
        cpu_seconds: over(&|_, cpu| cpu),
        cpus: over(&|sample, cpu| cpu / sample.summary.seconds.max(1e-3)),
        cpu_micros_per_transfer: over(&|sample, cpu| {
            cpu * 1e6 / float(sample.summary.measured.max(1))
        }),
        memory_bytes: rounds.iter().filter_map(|sample| of(sample).memory).max(),
    }
}

/// The median over the rounds of the ratio within each.
fn ratio(ours: impl Iterator<Item = f64>, theirs: impl Iterator<Item = f64>) -> Option<f64> {
    let pairs = ours.zip(theirs).filter(|(_, theirs)| *theirs > 0.0);
    median(pairs.map(|(ours, theirs)| ours / theirs)).map(round)
}

/// Where the floor "same rows" has not written what the service has, in words.
pub(super) fn differences(rows: &[Rows], service: u64, floor: u64) -> Vec<String> {
    let mut found = Vec::new();
    if service == 0 || floor == 0 {
        return found;
    }
    for row in rows.iter().filter(|row| row.name != ACCOUNTS) {
        let name = &row.name;
        let ours = signed(row.service) / float(service);
        let theirs = signed(row.floor) / float(floor);
        // A table that has, say, a row for each account and day does not grow with the transfers.
        let is_bounded = is_same(signed(row.service), signed(row.floor));
        if !is_same(ours, theirs) && !is_bounded {
            found.push(format!("{name}: the service writes {ours:.2} rows, the floor {theirs:.2}"));
        } else if row.service > 0 && !is_same(row.service_width, row.floor_width) {
            let (ours, theirs) = (row.service_width, row.floor_width);
            found.push(format!("{name}: the service's rows have {ours:.0} bytes, not {theirs:.0}"));
        }
    }
    found
}

fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME * one.max(other)
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
fn signed(number: i64) -> f64 {
    number as f64
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn rounded(value: Option<f64>) -> f64 {
    round(value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, service: i64, floor: i64, floor_width: f64) -> Rows {
        Rows { name: name.to_owned(), service, service_width: 100.0, floor, floor_width }
    }

    #[test]
    fn the_median_of_an_even_number_is_between_two() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was twice as fast in the second round, for both.
        let ratio = ratio([100.0, 200.0, 90.0].into_iter(), [50.0, 100.0, 50.0].into_iter());
        assert_eq!(ratio, Some(2.0));
    }

    #[test]
    fn a_floor_that_writes_less_is_found_out() {
        let same = [rows("entries", 2_000, 200, 101.0), rows("texts", 0, 0, 0.0)];
        assert_eq!(differences(&same, 1_000, 100), Vec::<String>::new());
        // Bounded by the accounts, not by the transfers.
        let totals = [rows("day_totals", 50, 50, 100.0), rows("ledger_accounts", 9, 1, 100.0)];
        assert_eq!(differences(&totals, 1_000, 100), Vec::<String>::new());
        let less = [rows("entries", 2_000, 100, 100.0), rows("outcomes", 1_000, 100, 60.0)];
        let found = differences(&less, 1_000, 100);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("entries") && found[1].contains("outcomes"));
    }
}
