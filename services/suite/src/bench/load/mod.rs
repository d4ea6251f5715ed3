//! The callers, in a process of their own: what they cost is not the service's, and the service's
//! is not theirs.
//!
//! Each thread has a runtime, connections, callers and counts of its own, so that nothing is shared
//! on the way of a call.

mod caller;
mod connection;
mod hold;
mod plan;
mod read;
mod share;
mod tally;
mod transfer;
mod watch;

use std::io::{BufRead as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::error::BenchError;
use share::Share;
use tally::{Window, merge};

pub(super) use plan::{Book, Event, Latency, Length, Plan, Summary};
pub(super) use transfer::{CURRENCY, account_id};

/// How often the callers tell how far they are.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// How many threads the callers take: few, for the service and Postgres need the others more.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(4)
}

/// `main` of the callers' process: reads a plan, and tells what happens.
pub(super) fn main() -> Result<(), BenchError> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| BenchError::System("standard input", error))?;
    let plan = serde_json::from_str(&line).map_err(|error| BenchError::Load(error.to_string()))?;
    let summary = run(&Arc::new(plan)).map_err(BenchError::Load)?;
    tell(&Event::Done(summary)).map_err(BenchError::Load)
}

fn tell(event: &Event) -> Result<(), String> {
    let line = serde_json::to_string(event).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}

fn run(plan: &Arc<Plan>) -> Result<Summary, String> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (ready, connected) = mpsc::channel();
    let mut threads = Vec::new();
    for index in 0..plan.threads {
        let (start, window) = mpsc::channel();
        let (plan, ready, acknowledged) =
            (Arc::clone(plan), ready.clone(), Arc::clone(&acknowledged));
        let thread = thread::spawn(move || {
            let share = Share { plan, index, acknowledged };
            share.run(&ready, &window)
        });
        threads.push((start, thread));
    }
    for _ in &threads {
        connected.recv().map_err(|_| "a thread ended early".to_owned())??;
    }
    let begin = Instant::now() + Duration::from_secs_f64(plan.warm_up);
    let end = match plan.length {
        Length::Seconds(seconds) => OnceLock::from(begin + Duration::from_secs_f64(seconds)),
        Length::Bulk(_) => OnceLock::new(),
    };
    let window = Window { begin, end: Arc::new(end) };
    let mut running = Vec::new();
    for (start, thread) in threads {
        // A thread that is gone says why when it is joined.
        let _ = start.send(window.clone());
        running.push(thread);
    }
    thread::sleep(begin.saturating_duration_since(Instant::now()));
    tell(&Event::Begin)?;
    while !window.is_over(Instant::now()) && !running.iter().all(thread::JoinHandle::is_finished) {
        let left = window.end.get().map(|end| end.saturating_duration_since(Instant::now()));
        thread::sleep(left.unwrap_or(TOLD_EVERY).min(TOLD_EVERY));
        tell(&Event::Progress(acknowledged.load(Ordering::Relaxed)))?;
    }
    let end = window.end.get().copied().unwrap_or_else(Instant::now);
    tell(&Event::End)?;
    let mut parts = Vec::new();
    for thread in running {
        parts.push(thread.join().map_err(|_| "a thread panicked".to_owned())??);
    }
    merge(parts.into_iter().flatten(), end.duration_since(begin).as_secs_f64())
}
