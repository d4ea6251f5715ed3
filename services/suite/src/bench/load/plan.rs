//! What the callers are told, and what they tell: a line of JSON each, on standard input and
//! output.

use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::bench::case::Work;
use crate::bench::figures::float;
use crate::bench::fill::Filled;

/// What the callers shall do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::bench) struct Plan {
    /// The replicas of the service. Connections go to them in turn.
    pub(in crate::bench) addresses: Vec<SocketAddr>,
    /// HTTP/2 connections altogether.
    pub(in crate::bench) connections: usize,
    /// Threads of the callers' process.
    pub(in crate::bench) threads: usize,
    /// How many calls are under way at once, at most.
    pub(in crate::bench) callers: usize,
    /// The books of each tenant. Callers go to them in turn.
    pub(in crate::bench) books: Vec<Book>,
    /// What they ask for.
    pub(in crate::bench) work: Work,
    /// Transfers in one call.
    pub(in crate::bench) batch: usize,
    /// Whether the first account takes part in every transfer.
    pub(in crate::bench) hot: bool,
    /// Whether somebody watches the events meanwhile.
    pub(in crate::bench) watched: bool,
    /// Calls a second, by chance and whether or not earlier ones are answered (open loop); else
    /// each caller asks again as soon as it has its answer (closed loop).
    pub(in crate::bench) rate: Option<f64>,
    /// Seconds before the measurement begins.
    pub(in crate::bench) warm_up: f64,
    /// When it ends.
    pub(in crate::bench) length: Length,
}

/// The books of one tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::bench) struct Book {
    /// The bearer token of its callers.
    pub(in crate::bench) token: String,
    /// How many accounts it has.
    pub(in crate::bench) accounts: u64,
    /// What is in it already.
    pub(in crate::bench) filled: Filled,
}

/// When a measurement ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::bench) enum Length {
    /// After so many seconds.
    Seconds(f64),
    /// Once so many transfers, which come in bulk from others meanwhile, are all posted.
    Bulk(u64),
}

/// What the callers tell while they call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::bench) enum Event {
    /// The measurement begins.
    Begin,
    /// So many calls, or transfers in them, were acknowledged so far.
    Progress(u64),
    /// The measurement ends; calls that are under way still get their answers.
    End,
    /// All calls are answered.
    Done(Summary),
}

/// What came of the calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Summary {
    /// Seconds of the measurement.
    pub(in crate::bench) seconds: f64,
    /// Transfers, holds or pages that were acknowledged in it.
    pub(in crate::bench) measured: u64,
    /// Those that were acknowledged at all: before, in and after it.
    pub(in crate::bench) acknowledged: u64,
    /// Transfers that came in bulk, and were acknowledged.
    pub(in crate::bench) bulk: u64,
    /// Those that a rule of business refused.
    pub(in crate::bench) rejected: u64,
    /// Those that were asked for again with the same request id, as the contract has it.
    pub(in crate::bench) retried: u64,
    /// Those without an answer that settles them, or with a wrong one.
    pub(in crate::bench) failed: u64,
    /// What the first of these was.
    pub(in crate::bench) failure: Option<String>,
    /// From when a call was due until its answer was there, in microseconds.
    pub(in crate::bench) latency: Latency,
    /// From when something happened until somebody who watches saw it, in microseconds.
    pub(in crate::bench) lag: Option<Latency>,
    /// What was seen of it in the measurement.
    pub(in crate::bench) events: u64,
}

impl Summary {
    /// What was acknowledged in a second of the measurement.
    pub(in crate::bench) fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { float(self.measured) / self.seconds } else { 0.0 }
    }
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Latency {
    /// The median.
    pub(in crate::bench) p50: u64,
    /// Of a hundred calls one takes longer.
    pub(in crate::bench) p99: u64,
    /// Of a thousand calls one takes longer.
    pub(in crate::bench) p999: u64,
    /// The longest.
    pub(in crate::bench) max: u64,
}

impl Latency {
    /// The percentiles of these times.
    pub(super) fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| times.value_at_quantile(quantile);
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: times.max() }
    }
}
