//! From rounds to figures: medians, sums and ratios.
//!
//! A ratio is taken within each round, between measurements that stood side by side, and its median
//! over the rounds is shown. So it may differ a little from the ratio of two medians.

use serde::Serialize;

use super::case::{Case, Work};
use super::floor::Floor;
use super::load::Latency;
use super::measured::{CaseRounds, FloorRounds, Measured};
use super::options::Size;
use super::sample::{Sample, Used};

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
    /// The books that it was measured in.
    pub(super) books: Size,
    /// Transfers, holds or pages.
    pub(super) per_second: f64,
    /// From when a call was due until its answer was there.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    /// From when something happened until somebody who watches saw it.
    pub(super) lag_p50_ms: Option<f64>,
    pub(super) lag_p99_ms: Option<f64>,
    /// Throughput to that of the floors; hot to hot.
    pub(super) ratio_same_rows: Option<f64>,
    pub(super) ratio_bare: Option<f64>,
    /// The median time to that of one pgbench client on the same rows.
    pub(super) ratio_p50: Option<f64>,
    /// Throughput to that of the same load without several tenants, replicas, a hot account or
    /// bulk.
    pub(super) ratio_plain: Option<f64>,
    /// The 99th percentile to that of the same load without bulk.
    pub(super) ratio_p99: Option<f64>,
    /// Throughput to that of the same load in smaller books.
    pub(super) ratio_smaller: Option<f64>,
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
    /// Transfers, holds or pages that were acknowledged, and transfers in bulk, in all rounds with
    /// their warm-ups.
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

/// The figures of a load. Where there are smaller books it was measured in those too.
pub(super) fn figures(
    case: &CaseRounds,
    measured: &Measured,
    smaller: Option<&Measured>,
) -> Figures {
    let rounds = &case.rounds;
    let over = |value: fn(&Sample) -> f64| rounded(median(rounds.iter().map(value)));
    let rates = || rounds.iter().map(|sample| sample.summary.per_second());
    let sum = |value: fn(&Sample) -> f64| rounds.iter().map(value).sum::<f64>();
    let transfers = rounds.iter().map(|sample| sample.summary.acknowledged + sample.summary.bulk);
    let transfers: u64 = transfers.sum();
    let each = |total: f64| if transfers > 0 { (total / float(transfers)).round() } else { 0.0 };
    let is_transfers = case.case.work == Work::Transfers;
    let floor = |floor: Floor, hot: bool| {
        let is_it = |rounds: &&FloorRounds| rounds.floor == floor && rounds.hot == hot;
        measured.floors.iter().filter(|_| is_transfers).find(is_it)
    };
    let to_floor = |which: Floor| {
        let paces = floor(which, case.case.hot)?.rounds.iter().map(|pace| pace.per_second);
        ratio(rates(), paces)
    };
    let to_case = |other: &CaseRounds, value: fn(&Sample) -> f64| {
        ratio(rounds.iter().map(value), other.rounds.iter().map(value))
    };
    let plain = case
        .case
        .reference()
        .and_then(|plain| measured.cases.iter().find(|other| is_plain(&other.case, &plain)));
    let same =
        smaller.and_then(|smaller| smaller.cases.iter().find(|other| other.case == case.case));
    let rate: fn(&Sample) -> f64 = |sample| sample.summary.per_second();
    let p99: fn(&Sample) -> f64 = |sample| float(sample.summary.latency.p99);
    let medians = rounds.iter().map(|sample| float(sample.summary.latency.p50));
    Figures {
        case: case.case,
        books: measured.size,
        per_second: rounded(median(rates())),
        p50_ms: over(|sample| float(sample.summary.latency.p50) / 1e3),
        p99_ms: over(|sample| float(sample.summary.latency.p99) / 1e3),
        p999_ms: over(|sample| float(sample.summary.latency.p999) / 1e3),
        max_ms: over(|sample| float(sample.summary.latency.max) / 1e3),
        lag_p50_ms: lag(rounds, |lag| lag.p50),
        lag_p99_ms: lag(rounds, |lag| lag.p99),
        ratio_same_rows: to_floor(Floor::SameRows),
        ratio_bare: to_floor(Floor::Bare),
        ratio_p50: floor(Floor::SameRows, false).and_then(|floor| ratio(medians, alone(floor))),
        ratio_plain: plain.and_then(|plain| to_case(plain, rate)),
        ratio_p99: plain.filter(|_| case.case.bulk > 0).and_then(|plain| to_case(plain, p99)),
        ratio_smaller: same.and_then(|same| to_case(same, rate)),
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
    let same = case.work == wanted.work && case.batch == wanted.batch && case.rate == wanted.rate;
    near && same && case.reference().is_none()
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
            cpu * 1e6 / float((sample.summary.measured + sample.summary.bulk).max(1))
        }),
        memory_bytes: rounds.iter().filter_map(|sample| of(sample).memory).max(),
    }
}

/// The median over the rounds of how late a watcher was, in milliseconds.
fn lag(rounds: &[Sample], of: fn(&Latency) -> u64) -> Option<f64> {
    let lags = rounds.iter().filter_map(|sample| sample.summary.lag.as_ref());
    median(lags.map(|lag| float(of(lag)) / 1e3)).map(round)
}

/// The median over the rounds of the ratio within each.
fn ratio(ours: impl Iterator<Item = f64>, theirs: impl Iterator<Item = f64>) -> Option<f64> {
    let pairs = ours.zip(theirs).filter(|(_, theirs)| *theirs > 0.0);
    median(pairs.map(|(ours, theirs)| ours / theirs)).map(round)
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
pub(super) fn signed(number: i64) -> f64 {
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
}
