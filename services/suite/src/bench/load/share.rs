//! One thread's part of the plan: its callers, and those who come in bulk.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use strongroom_proto::transactions::v1::Priority;
use tokio::task::{JoinSet, LocalSet};
use tonic::codegen::http::Uri;

use super::caller::{Bearer, Caller, Clients};
use super::connection::Connection;
use super::plan::{Length, Plan, Summary};
use super::tally::{Pace, Tally, Window};
use super::watch::watch;
use crate::bench::case::Work;
use crate::bench::figures::float;

/// How transfers come in bulk: in calls of so many, of which so many are under way at once.
const BULK_BATCH: usize = 1_000;
const BULK_CALLERS: usize = 4;

/// What callers have counted, and how long their calls took.
type Counted = (Summary, Histogram<u64>);

/// One thread's part of the plan.
pub(super) struct Share {
    pub(super) plan: Arc<Plan>,
    pub(super) index: usize,
    /// Of all callers, for whoever watches.
    pub(super) acknowledged: Arc<AtomicU64>,
}

impl Share {
    /// Connects, and calls from the begin on that it is told.
    pub(super) fn run(
        &self,
        ready: &mpsc::Sender<Result<(), String>>,
        window: &mpsc::Receiver<Window>,
    ) -> Result<Vec<Counted>, String> {
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
        LocalSet::new().block_on(&runtime, async {
            let bulk = match self.plan.length {
                Length::Bulk(transfers) if self.index == 0 => Some(transfers),
                Length::Bulk(_) | Length::Seconds(_) => None,
            };
            let (called, bulk, watched) = tokio::join!(
                self.call(&connections, &window),
                self.bulk(bulk, &window),
                self.watch(&window)
            );
            Ok([called?].into_iter().chain(bulk?).chain(watched?).collect())
        })
    }

    /// The part of a number that falls to this thread.
    fn part(&self, total: usize) -> usize {
        let threads = self.plan.threads;
        total / threads + usize::from(self.index < total % threads)
    }

    async fn connect(&self) -> Result<Vec<(Connection, Uri)>, String> {
        let mut connections = Vec::new();
        for number in 0..self.part(self.plan.connections).max(1) {
            connections.push(self.open(self.index + number * self.plan.threads).await?);
        }
        Ok(connections)
    }

    async fn open(&self, number: usize) -> Result<(Connection, Uri), String> {
        let address = self.plan.addresses[number % self.plan.addresses.len()];
        let connection = Connection::open(address).await.map_err(|error| error.to_string())?;
        let origin = format!("http://{address}").parse::<Uri>();
        Ok((connection, origin.map_err(|error| error.to_string())?))
    }

    /// The calls that are measured.
    async fn call(
        &self,
        connections: &[(Connection, Uri)],
        window: &Window,
    ) -> Result<Counted, String> {
        let plan = &self.plan;
        let pace = match plan.rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open {
                next: Instant::now().into(),
                mean_gap: Duration::from_secs_f64(float(plan.threads as u64) / rate),
            },
        };
        let tally = Rc::new(Tally::new(window.clone(), pace, u64::MAX)?);
        let mut callers = Vec::new();
        for number in 0..self.part(plan.callers) {
            let connection = connections[number % connections.len()].clone();
            callers.push(self.caller(self.index + number * plan.threads, connection, &tally)?);
        }
        all(callers, tally).await
    }

    /// What comes in bulk from the begin of the measurement on, and ends it.
    async fn bulk(
        &self,
        transfers: Option<u64>,
        window: &Window,
    ) -> Result<Option<Counted>, String> {
        let Some(transfers) = transfers else { return Ok(None) };
        let connection = self.open(0).await?;
        let always = Window { begin: window.begin, end: Arc::default() };
        let calls = transfers.div_ceil(BULK_BATCH as u64);
        let tally = Rc::new(Tally::new(always, Pace::Closed, calls)?);
        let mut callers = Vec::new();
        for number in 0..BULK_CALLERS {
            let caller = self.caller(number, connection.clone(), &tally)?;
            let (work, priority) = (Work::Transfers, Priority::Bulk);
            callers.push(Caller { work, priority, batch: BULK_BATCH, ..caller });
        }
        tokio::time::sleep_until(window.begin.into()).await;
        let done = all(callers, tally).await;
        // Whatever came of it, the others must not call for ever.
        let _ = window.end.set(Instant::now());
        let (counts, _) = done?;
        let counts = Summary { bulk: counts.acknowledged, measured: 0, acknowledged: 0, ..counts };
        // How long these calls took is nobody's question.
        let none = Histogram::new(1).map_err(|error| error.to_string())?;
        Ok(Some((counts, none)))
    }

    /// What somebody sees who watches the first tenant.
    async fn watch(&self, window: &Window) -> Result<Option<Counted>, String> {
        if !self.plan.watched || self.index > 0 {
            return Ok(None);
        }
        let book = self.plan.books.first().ok_or("there is no tenant")?;
        let seen = watch(self.open(0).await?, &Bearer::new(book)?, window).await?;
        Ok(Some((seen, Histogram::new(1).map_err(|error| error.to_string())?)))
    }

    fn caller(
        &self,
        number: usize,
        connection: (Connection, Uri),
        tally: &Rc<Tally>,
    ) -> Result<Caller, String> {
        let plan = &self.plan;
        let book = plan.books[number % plan.books.len()].clone();
        Ok(Caller {
            clients: Clients::new(connection),
            bearer: Bearer::new(&book)?,
            book,
            work: plan.work,
            batch: plan.batch,
            hot: plan.hot,
            priority: Priority::Normal,
            tally: Rc::clone(tally),
            acknowledged: Arc::clone(&self.acknowledged),
        })
    }
}

/// Has all callers call, and gives what they counted.
async fn all(callers: Vec<Caller>, tally: Rc<Tally>) -> Result<Counted, String> {
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn_local(caller.run());
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|error| error.to_string())?;
    }
    let tally = Rc::into_inner(tally).ok_or("a caller still counts")?;
    Ok(tally.finish())
}
