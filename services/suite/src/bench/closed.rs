//! Callers that wait for each answer before they ask again (a closed loop), in a process of their
//! own: what they cost is not the service's.

use std::fmt;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tonic::Status;

use super::child::Process;
use super::error::BenchError;
use super::load::threads;
use super::report::whole;

/// How long the callers may be silent.
const SILENCE: Duration = Duration::from_secs(300);
/// Callers on one connection.
pub(super) const CALLERS_PER_CONNECTION: usize = 16;
/// The longest time that is told apart, in microseconds.
const LONGEST: u64 = 120_000_000;

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Loaded {
    /// The medians of several rounds.
    pub(super) fn medians(rounds: &[Self]) -> Self {
        let median = |value: fn(&Self) -> f64| Rounds(rounds.iter().map(value).collect()).median();
        Self {
            per_second: median(|loaded| loaded.per_second),
            p50_ms: median(|loaded| loaded.p50_ms),
            p99_ms: median(|loaded| loaded.p99_ms),
        }
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s, {:.1} / {:.1} ms", whole(self.per_second), self.p50_ms, self.p99_ms)
    }
}

/// One thing, measured round by round.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Rounds(pub(super) Vec<f64>);

impl Rounds {
    /// The median.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Has the process of a hidden command call as it is told.
pub(super) async fn in_a_process_of_its_own(
    command: &'static str,
    load: &impl Serialize,
) -> Result<Loaded, BenchError> {
    let told = |error: serde_json::Error| BenchError::Load(error.to_string());
    let mut process = Process::start(command, &[])?;
    let mut line = serde_json::to_vec(load).map_err(told)?;
    line.push(b'\n');
    if let Some(input) = &mut process.input {
        let written = input.write_all(&line).await;
        written.map_err(|error| BenchError::System(command, error))?;
    }
    let answer = process.line(SILENCE).await.map_err(BenchError::Load)?;
    let answer = answer.ok_or_else(|| BenchError::Load("they ended early".to_owned()))?;
    process.stop().await.map_err(BenchError::Load)?;
    serde_json::from_str::<Result<Loaded, String>>(&answer).map_err(told)?.map_err(BenchError::Load)
}

/// `main` of that process.
pub(super) fn main<L: DeserializeOwned>(
    command: &'static str,
    call_all: impl AsyncFnOnce(L) -> Result<Loaded, String>,
) -> Result<(), BenchError> {
    let system = |error| BenchError::System(command, error);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(system)?;
    let told = |error: serde_json::Error| BenchError::Load(error.to_string());
    let load: L = serde_json::from_str(&line).map_err(told)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .build()
        .map_err(system)?;
    let loaded = runtime.block_on(call_all(load));
    let line = serde_json::to_string(&loaded).map_err(told)?;
    writeln!(std::io::stdout(), "{line}").map_err(system)
}

/// The time in which answers count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    begin: Instant,
    end: Instant,
}

impl Span {
    /// Seconds of load, after some that do not count.
    pub(super) fn after(warm_up: f64, seconds: f64) -> Self {
        let begin = Instant::now() + Duration::from_secs_f64(warm_up);
        Self { begin, end: begin + Duration::from_secs_f64(seconds) }
    }
}

/// Calls in turn until the end, and counts what is answered within the time. Each call is told its
/// number, from the caller's own on.
pub(super) async fn repeat<F>(
    caller: usize,
    span: Span,
    mut call: impl FnMut(usize) -> F,
) -> Result<Histogram<u64>, String>
where
    F: Future<Output = Result<(), Status>>,
{
    let times = Histogram::new_with_bounds(1, LONGEST, 3);
    let mut times: Histogram<u64> = times.map_err(|error| error.to_string())?;
    for turn in caller.. {
        let since = Instant::now();
        if since >= span.end {
            break;
        }
        call(turn).await.map_err(|status| status.message().to_owned())?;
        let now = Instant::now();
        if now >= span.begin && now < span.end {
            let micros = u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX);
            times.saturating_record(micros.max(1));
        }
    }
    Ok(times)
}

/// What all callers came to.
pub(super) async fn gather(
    mut callers: JoinSet<Result<Histogram<u64>, String>>,
    seconds: f64,
) -> Result<Loaded, String> {
    let mut times: Option<Histogram<u64>> = None;
    while let Some(called) = callers.join_next().await {
        let called = called.map_err(|error| error.to_string())??;
        match &mut times {
            Some(times) => times.add(called).map_err(|error| error.to_string())?,
            None => times = Some(called),
        }
    }
    let times = times.ok_or("nobody called")?;
    #[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
    let (count, millis) = (times.len() as f64, |micros: u64| micros as f64 / 1_000.0);
    Ok(Loaded {
        per_second: count / seconds,
        p50_ms: millis(times.value_at_quantile(0.5)),
        p99_ms: millis(times.value_at_quantile(0.99)),
    })
}
