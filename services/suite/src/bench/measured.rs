//! What the rounds of a run have given so far.

use std::time::Duration;

use super::case::{Case, Work};
use super::checks::Rows;
use super::floor::Floor;
use super::options::Size;
use super::pgbench::Pace;
use super::sample::Sample;

/// The rounds of one floor.
#[derive(Debug, Clone)]
pub(super) struct FloorRounds {
    pub(super) floor: Floor,
    pub(super) hot: bool,
    /// The number of clients that is fastest.
    pub(super) clients: u32,
    /// With that many clients.
    pub(super) rounds: Vec<Pace>,
    /// With one client; empty for the hot variants.
    pub(super) alone: Vec<Pace>,
}

/// The rounds of one load on the service.
#[derive(Debug, Clone)]
pub(super) struct CaseRounds {
    pub(super) case: Case,
    pub(super) rounds: Vec<Sample>,
}

/// Everything that was measured in one size of books.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) size: Size,
    pub(super) floors: Vec<FloorRounds>,
    pub(super) cases: Vec<CaseRounds>,
    /// How long it took to fill the books.
    pub(super) filling: Duration,
    /// What was there before the first measurement.
    pub(super) before: Vec<Rows>,
    /// Checkpoints that Postgres began meanwhile.
    pub(super) checkpoints: i64,
}

impl Measured {
    /// Nothing so far.
    pub(super) fn new(size: Size) -> Self {
        let (floors, cases, before) = (Vec::new(), Vec::new(), Vec::new());
        Self { size, floors, cases, filling: Duration::ZERO, before, checkpoints: 0 }
    }

    /// What was acknowledged of one kind of work.
    pub(super) fn acknowledged(&self, work: Work) -> u64 {
        let cases = self.cases.iter().filter(|case| case.case.work == work);
        cases.flat_map(|case| &case.rounds).map(|sample| sample.summary.acknowledged).sum()
    }

    /// All transfers that must be in the books.
    pub(super) fn transfers(&self) -> u64 {
        let samples = self.cases.iter().flat_map(|case| &case.rounds);
        let bulk: u64 = samples.map(|sample| sample.summary.bulk).sum();
        self.size.fill + self.acknowledged(Work::Transfers) + bulk
    }
}
