//! What one thread's callers count: when calls are due, and how long they took.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::RngExt as _;

use super::plan::{Latency, Summary};

/// The longest time that is told apart, in microseconds: more than any deadline.
pub(super) const LONGEST: u64 = 120_000_000;
/// Decimal digits of a time that are kept.
pub(super) const DIGITS: u8 = 3;

/// The measurement in time.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// When it begins; calls before it warm up.
    pub(super) begin: Instant,
    /// When it ends, once that is known.
    pub(super) end: Arc<OnceLock<Instant>>,
}

impl Window {
    /// Whether it is under way then.
    pub(super) fn has(&self, instant: Instant) -> bool {
        instant >= self.begin && !self.is_over(instant)
    }

    /// Whether it has ended by then.
    pub(super) fn is_over(&self, instant: Instant) -> bool {
        self.end.get().is_some_and(|end| instant >= *end)
    }
}

/// When calls are due.
#[derive(Debug)]
pub(super) enum Pace {
    /// At once.
    Closed,
    /// At times that nobody's slowness moves: a call that cannot be made when it is due is late by
    /// all of that.
    Open { next: Cell<Instant>, mean_gap: Duration },
}

/// The counts of one thread.
pub(super) struct Tally {
    window: Window,
    pace: Pace,
    /// Calls that may still begin.
    left: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
    counts: RefCell<Summary>,
}

impl Tally {
    /// Counts for at most so many calls.
    pub(super) fn new(window: Window, pace: Pace, calls: u64) -> Result<Self, String> {
        let latency = Histogram::new_with_bounds(1, LONGEST, DIGITS);
        Ok(Self {
            window,
            pace,
            left: Cell::new(calls),
            latency: RefCell::new(latency.map_err(|error| error.to_string())?),
            counts: RefCell::default(),
        })
    }

    /// When the next call is due; none where there are no more.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = match &self.pace {
            Pace::Closed => Instant::now(),
            Pace::Open { next, mean_gap } => {
                // Arrivals by chance (Poisson): the gaps have an exponential distribution.
                let gap = mean_gap.mul_f64(-(1.0 - rand::rng().random::<f64>()).ln());
                next.replace(next.get() + gap)
            }
        };
        if self.window.is_over(due) {
            return None;
        }
        self.left.set(self.left.get().checked_sub(1)?);
        Some(due)
    }

    /// Counts a call that was due then and is answered now, with so many transfers acknowledged.
    pub(super) fn answered(&self, due: Instant, now: Instant, transfers: u64) {
        let mut counts = self.counts.borrow_mut();
        counts.acknowledged += transfers;
        if self.window.has(now) {
            counts.measured += transfers;
        }
        // What was due in the measurement counts, however late it is.
        if self.window.has(due) {
            let micros = u64::try_from(now.duration_since(due).as_micros()).unwrap_or(u64::MAX);
            self.latency.borrow_mut().saturating_record(micros.max(1));
        }
    }

    /// Counts what else came of a call.
    pub(super) fn count(&self, count: impl FnOnce(&mut Summary)) {
        count(&mut self.counts.borrow_mut());
    }

    /// What was counted, and how long each took.
    pub(super) fn finish(self) -> (Summary, Histogram<u64>) {
        (self.counts.into_inner(), self.latency.into_inner())
    }
}

/// Adds the counts of several threads.
pub(super) fn merge(
    parts: impl IntoIterator<Item = (Summary, Histogram<u64>)>,
    seconds: f64,
) -> Result<Summary, String> {
    let mut all = Summary { seconds, ..Summary::default() };
    let latency = Histogram::new_with_bounds(1, LONGEST, DIGITS);
    let mut latency: Histogram<u64> = latency.map_err(|error| error.to_string())?;
    for (part, times) in parts {
        all.measured += part.measured;
        all.acknowledged += part.acknowledged;
        all.bulk += part.bulk;
        all.rejected += part.rejected;
        all.retried += part.retried;
        all.failed += part.failed;
        all.failure = all.failure.or(part.failure);
        all.lag = all.lag.or(part.lag);
        all.events += part.events;
        latency.add(times).map_err(|error| error.to_string())?;
    }
    all.latency = Latency::of(&latency);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn window(begin: Instant, end: Instant) -> Window {
        Window { begin, end: Arc::new(OnceLock::from(end)) }
    }

    #[test]
    fn what_is_made_late_is_late_by_all_of_it() {
        let begin = Instant::now();
        let window = window(begin, begin + seconds(1));
        let pace = Pace::Open { next: Cell::new(begin), mean_gap: Duration::from_millis(10) };
        let tally = Tally::new(window, pace, u64::MAX).unwrap();
        // Every call of the second is answered after five: the service stood still.
        let dues: Vec<_> = std::iter::from_fn(|| tally.next()).collect();
        assert!((50..200).contains(&dues.len()), "{}", dues.len());
        for due in &dues {
            tally.answered(*due, begin + seconds(5), 1);
        }
        let summary = merge([tally.finish()], 1.0).unwrap();
        assert_eq!(summary.measured, 0);
        assert_eq!(summary.acknowledged, dues.len() as u64);
        assert!(summary.latency.p50 > 4_000_000, "{:?}", summary.latency);
    }

    #[test]
    fn calls_of_the_warm_up_are_acknowledged_and_not_measured() {
        let begin = Instant::now();
        let window = window(begin + seconds(1), begin + seconds(2));
        let tally = Tally::new(window, Pace::Closed, 3).unwrap();
        tally.answered(begin, begin, 1);
        tally.answered(begin + seconds(1), begin + Duration::from_millis(1_010), 1);
        tally.answered(begin + Duration::from_millis(1_990), begin + seconds(2), 1);
        let summary = merge([tally.finish()], 1.0).unwrap();
        assert_eq!((summary.acknowledged, summary.measured), (3, 1));
        assert!((9_900..=10_100).contains(&summary.latency.max));
    }

    #[test]
    fn no_more_begin_than_were_asked_for() {
        let window = Window { begin: Instant::now(), end: Arc::default() };
        let tally = Tally::new(window, Pace::Closed, 2).unwrap();
        assert_eq!(std::iter::from_fn(|| tally.next()).count(), 2);
    }

    #[test]
    fn a_measurement_may_end_when_others_are_done() {
        let window = Window { begin: Instant::now(), end: Arc::default() };
        let tally = Tally::new(window.clone(), Pace::Closed, u64::MAX).unwrap();
        let due = tally.next().unwrap();
        window.end.set(Instant::now()).unwrap();
        assert_eq!(tally.next(), None);
        // It was due before the end, and so it counts, however late it is.
        tally.answered(due, due + seconds(1), 1);
        let summary = merge([tally.finish()], 1.0).unwrap();
        assert_eq!((summary.measured, summary.acknowledged), (0, 1));
        assert!(summary.latency.max > 900_000, "{:?}", summary.latency);
    }
}
