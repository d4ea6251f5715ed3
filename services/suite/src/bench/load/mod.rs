//! The callers, in a process of their own: what they cost is not the service's, and the service's
//! is not theirs.
//!
//! Each thread has a runtime, connections, callers and counts of its own, so that nothing is shared
//! on the way of a call.

mod caller;
mod connection;
mod plan;
mod tally;
mod transfer;

use std::io::{BufRead as _, Write as _};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use strongroom_proto::transactions::v1::transaction_service_client::TransactionServiceClient;
use tokio::task::{JoinSet, LocalSet};
use tonic::codegen::http::Uri;

use super::error::BenchError;
use super::figures::float;
use caller::Caller;
use connection::Connection;
use tally::{Pace, Tally, Window, merge};

pub(super) use plan::{Book, Event, Length, Plan, Summary};
pub(super) use transfer::{CURRENCY, account_id};

/// How often the callers tell how far they are.
const TOLD_EVERY: Duration = Duration::from_millis(500);

type Counted = (Summary, Histogram<u64>);

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
        Length::Seconds(seconds) => Some(begin + Duration::from_secs_f64(seconds)),
        Length::Transfers(_) => None,
    };
    let mut running = Vec::new();
    for (start, thread) in threads {
        // A thread that is gone says why when it is joined.
        let _ = start.send(Window { begin, end });
        running.push(thread);
    }
    thread::sleep(begin.saturating_duration_since(Instant::now()));
    tell(&Event::Begin)?;
    let is_over = |running: &[thread::JoinHandle<_>]| match end {
        Some(end) => Instant::now() >= end,
        None => running.iter().all(thread::JoinHandle::is_finished),
    };
    while !is_over(&running) {
        let left = end.map_or(TOLD_EVERY, |end| end.saturating_duration_since(Instant::now()));
        thread::sleep(left.min(TOLD_EVERY));
        tell(&Event::Progress(acknowledged.load(Ordering::Relaxed)))?;
    }
    let seconds = end.unwrap_or_else(Instant::now).duration_since(begin).as_secs_f64();
    tell(&Event::End)?;
    let mut parts = Vec::new();
    for thread in running {
        parts.push(thread.join().map_err(|_| "a thread panicked".to_owned())??);
    }
    merge(parts, seconds)
}

/// One thread's part of the plan.
struct Share {
    plan: Arc<Plan>,
    index: usize,
    acknowledged: Arc<AtomicU64>,
}

impl Share {
    fn run(
        &self,
        ready: &mpsc::Sender<Result<(), String>>,
        window: &mpsc::Receiver<Window>,
    ) -> Result<Counted, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let connections = match runtime.block_on(self.connect()) {
            Ok(connections) => connections,
            Err(error) => {
                let _ = ready.send(Err(error.clone()));
                return Err(error);
            }
        };
        let _ = ready.send(Ok(()));
        // Only the threads' owner can be gone.
        let window = window.recv().map_err(|error| error.to_string())?;
        LocalSet::new().block_on(&runtime, self.call(&connections, window))
    }

    /// The part of a number that falls to this thread.
    fn part(&self, total: usize) -> usize {
        let threads = self.plan.threads;
        total / threads + usize::from(self.index < total % threads)
    }

    async fn connect(&self) -> Result<Vec<(Connection, Uri)>, String> {
        let mut connections = Vec::new();
        for number in 0..self.part(self.plan.connections).max(1) {
            let at = (self.index + number * self.plan.threads) % self.plan.addresses.len();
            let address = self.plan.addresses[at];
            let connection = Connection::open(address).await.map_err(|error| error.to_string())?;
            let origin = format!("http://{address}").parse::<Uri>();
            connections.push((connection, origin.map_err(|error| error.to_string())?));
        }
        Ok(connections)
    }

    async fn call(
        &self,
        connections: &[(Connection, Uri)],
        window: Window,
    ) -> Result<Counted, String> {
        let plan = &self.plan;
        let pace = match plan.rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open {
                next: Instant::now().into(),
                mean_gap: Duration::from_secs_f64(float(plan.threads as u64) / rate),
            },
        };
        let calls = match plan.length {
            Length::Seconds(_) => u64::MAX,
            Length::Transfers(all) => {
                let all = usize::try_from(all).map_err(|error| error.to_string())?;
                self.part(all.div_ceil(plan.batch)) as u64
            }
        };
        let tally = Rc::new(Tally::new(window, pace, calls)?);
        let mut callers = JoinSet::new();
        for number in 0..self.part(plan.callers) {
            let book = &plan.books[(self.index + number * plan.threads) % plan.books.len()];
            let bearer = format!("Bearer {}", book.token).parse();
            let (connection, origin) = connections[number % connections.len()].clone();
            let caller = Caller {
                client: TransactionServiceClient::with_origin(connection, origin),
                bearer: bearer.map_err(|_| "a token is not ASCII".to_owned())?,
                accounts: book.accounts,
                batch: plan.batch,
                hot: plan.hot,
                tally: Rc::clone(&tally),
                acknowledged: Arc::clone(&self.acknowledged),
            };
            callers.spawn_local(caller.run());
        }
        while let Some(ended) = callers.join_next().await {
            ended.map_err(|error| error.to_string())?;
        }
        let tally = Rc::into_inner(tally).ok_or("a caller still counts")?;
        Ok(tally.finish())
    }
}
