//! Group commit: while one batch is being committed, the jobs that arrive wait in a bounded queue
//! and become the next batch. Every caller makes an ordinary call and gets an answer of its own.
//!
//! A lane is one thread with one worker. No timer delays anybody: an idle lane takes a lone job at
//! once. Under load a batch is whatever has come together during the one before.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::at_least_one;
use crate::deadline::Deadline;
use crate::problem::{Problem, Reason};

/// What a lane's thread does with a batch.
pub trait Worker: Send + 'static {
    /// What is asked for.
    type Job: Send + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// How much of a batch's limit a job takes.
    fn weight(job: &Self::Job) -> usize;

    /// Does a batch, and gives an answer to each job, in their order. Blocks.
    fn run(&mut self, jobs: Vec<Self::Job>) -> Vec<Self::Answer>;
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Normal,
    /// Fills a small part of a batch, and never more than half of it, so that whoever comes
    /// meanwhile does not wait for long.
    Bulk,
}

/// The limits of a lane.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Lane")]
pub struct Config {
    /// Entries that wait in one lane at most; more are RESOURCE_EXHAUSTED
    #[arg(
        long,
        env = "STRONGROOM_LANE_QUEUE",
        default_value = "65536",
        value_parser = at_least_one
    )]
    pub lane_queue: usize,
    /// Lanes, each with a connection of its own; a tenant's work stays in one of them
    #[arg(long, env = "STRONGROOM_LANES", default_value = "4", value_parser = at_least_one)]
    pub lanes: usize,
    /// Entries of one commit at most, unless a single request has more
    #[arg(long, env = "STRONGROOM_LANE_BATCH", default_value = "2048", value_parser = at_least_one)]
    pub lane_batch: usize,
    /// Entries of one commit that work in bulk takes at most, unless a single request has more: it
    /// decides how long somebody who comes meanwhile waits
    #[arg(long, env = "STRONGROOM_LANE_BULK", default_value = "96", value_parser = at_least_one)]
    pub lane_bulk: usize,
}

struct Waiting<W: Worker> {
    job: W::Job,
    deadline: Deadline,
    answer: oneshot::Sender<Result<W::Answer, Problem>>,
}

struct Queue<W: Worker> {
    normal: VecDeque<Waiting<W>>,
    bulk: VecDeque<Waiting<W>>,
    /// The weight of all that waits.
    weight: usize,
    closed: bool,
}

struct Inner<W: Worker> {
    queue: Mutex<Queue<W>>,
    arrived: Condvar,
    config: Config,
}

impl<W: Worker> Inner<W> {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue<W>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane. When its last handle goes, the thread does what waits and ends.
pub struct Lane<W: Worker> {
    inner: Arc<Inner<W>>,
    /// Closes the lane when the last handle drops it.
    close: Arc<Close<W>>,
}

impl<W: Worker> Clone for Lane<W> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), close: Arc::clone(&self.close) }
    }
}

impl<W: Worker> std::fmt::Debug for Lane<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

struct Close<W: Worker>(Arc<Inner<W>>);

impl<W: Worker> Drop for Close<W> {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.arrived.notify_one();
    }
}

impl<W: Worker> Lane<W> {
    /// Starts a lane. `owner` is let go when its thread ends, for whoever waits for that.
    pub fn start(
        name: &str,
        config: Config,
        worker: W,
        owner: TaskTrackerToken,
    ) -> std::io::Result<Self> {
        let queue =
            Queue { normal: VecDeque::new(), bulk: VecDeque::new(), weight: 0, closed: false };
        let inner = Arc::new(Inner { queue: Mutex::new(queue), arrived: Condvar::new(), config });
        let lane = Arc::clone(&inner);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            serve(&lane, worker);
            drop(owner);
        })?;
        let close = Arc::new(Close(Arc::clone(&inner)));
        Ok(Self { inner, close })
    }

    /// Has a job done in some batch. Refuses at once where too many wait; what is not begun before
    /// the deadline is not begun. A caller that goes away once it is begun does not undo it.
    pub async fn submit(
        &self,
        job: W::Job,
        deadline: Deadline,
        priority: Priority,
    ) -> Result<W::Answer, Problem> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Waiting { job, deadline, answer }, priority)?;
        answered.await.unwrap_or_else(|_| Err(Problem::internal()))
    }

    fn enqueue(&self, waiting: Waiting<W>, priority: Priority) -> Result<(), Problem> {
        let weight = W::weight(&waiting.job);
        let mut queue = self.inner.queue();
        // One that alone is more than the limit may wait alone.
        if queue.weight > 0 && queue.weight + weight > self.inner.config.lane_queue {
            let message = "More work waits than the service may queue.";
            return Err(
                Problem::new(Reason::Overloaded, message).retry_after(Duration::from_millis(100))
            );
        }
        queue.weight += weight;
        match priority {
            Priority::Normal => queue.normal.push_back(waiting),
            Priority::Bulk => queue.bulk.push_back(waiting),
        }
        drop(queue);
        self.inner.arrived.notify_one();
        Ok(())
    }
}

/// Several lanes. What has one key is done by one of them, in the order in which it came; what has
/// not may be done at once.
pub struct Lanes<W: Worker>(Arc<[Lane<W>]>);

impl<W: Worker> Clone for Lanes<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Worker> std::fmt::Debug for Lanes<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lanes").field(&self.0.len()).finish()
    }
}

impl<W: Worker> Lanes<W> {
    /// Starts as many lanes as the configuration says, each with a worker of its own.
    pub fn start(
        name: &str,
        config: &Config,
        mut worker: impl FnMut() -> (W, TaskTrackerToken),
    ) -> std::io::Result<Self> {
        let lane = |number| {
            let (worker, owner) = worker();
            Lane::start(&format!("{name}-{number}"), config.clone(), worker, owner)
        };
        Ok(Self((0..config.lanes).map(lane).collect::<std::io::Result<_>>()?))
    }

    /// The lane of a key.
    pub fn of(&self, key: uuid::Uuid) -> &Lane<W> {
        let lanes = self.0.len() as u128;
        &self.0[usize::try_from(key.as_u128() % lanes).unwrap_or_default()]
    }
}

fn serve<W: Worker>(lane: &Inner<W>, mut worker: W) {
    while let Some(batch) = take(lane) {
        let mut answers = Vec::with_capacity(batch.len());
        let mut jobs = Vec::with_capacity(batch.len());
        for waiting in batch {
            if waiting.answer.is_closed() {
                continue;
            }
            if waiting.deadline.remaining().is_zero() {
                let message = "The deadline passed before its turn came. Nothing was done.";
                let _ = waiting.answer.send(Err(Problem::new(Reason::Deadline, message)));
                continue;
            }
            jobs.push(waiting.job);
            answers.push(waiting.answer);
        }
        if jobs.is_empty() {
            continue;
        }
        // A panic is one batch's failure, not the lane's: its callers are told INTERNAL.
        let Ok(done) = catch_unwind(AssertUnwindSafe(|| worker.run(jobs))) else {
            tracing::error!("a lane's worker panicked");
            continue;
        };
        for (answer, done) in answers.into_iter().zip(done) {
            // Nobody may be waiting any more: the outcome is found by its request id.
            let _ = answer.send(Ok(done));
        }
    }
}

/// The next batch: what waits, up to the limit; none once the lane is closed and empty.
fn take<W: Worker>(lane: &Inner<W>) -> Option<Vec<Waiting<W>>> {
    let mut queue = lane.queue();
    while queue.normal.is_empty() && queue.bulk.is_empty() {
        if queue.closed {
            return None;
        }
        queue = lane.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    let limit = lane.config.lane_batch;
    let mut batch = Vec::new();
    fill(&mut batch, &mut queue.bulk, lane.config.lane_bulk.min(limit.div_ceil(2)));
    let bulk: usize = batch.iter().map(|waiting| W::weight(&waiting.job)).sum();
    fill(&mut batch, &mut queue.normal, limit.saturating_sub(bulk).max(1));
    queue.weight -= batch.iter().map(|waiting| W::weight(&waiting.job)).sum::<usize>();
    Some(batch)
}

/// Moves waiting jobs into a batch: as many as there is room for, and at least one, or one that is
/// larger than the room would wait for ever behind a stream of others.
fn fill<W: Worker>(batch: &mut Vec<Waiting<W>>, queue: &mut VecDeque<Waiting<W>>, mut room: usize) {
    let mut is_first = true;
    while let Some(next) = queue.front() {
        let weight = W::weight(&next.job);
        if weight > room && !is_first {
            break;
        }
        is_first = false;
        room = room.saturating_sub(weight);
        batch.extend(queue.pop_front());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio_util::task::TaskTracker;

    /// Answers with the size of the batch, once the gate lets it.
    struct Gated(mpsc::Receiver<()>, mpsc::Sender<Vec<u32>>);

    impl Worker for Gated {
        type Job = u32;
        type Answer = usize;

        fn weight(_: &u32) -> usize {
            1
        }

        fn run(&mut self, jobs: Vec<u32>) -> Vec<usize> {
            let _ = self.1.send(jobs.clone());
            let _ = self.0.recv();
            vec![jobs.len(); jobs.len()]
        }
    }

    struct Test {
        lane: Lane<Gated>,
        gate: mpsc::Sender<()>,
        batches: mpsc::Receiver<Vec<u32>>,
        tracker: TaskTracker,
    }

    fn lane(queue: usize, batch: usize) -> Test {
        let (gate, wait) = mpsc::channel();
        let (tell, batches) = mpsc::channel();
        let tracker = TaskTracker::new();
        let (lanes, lane_bulk) = (1, batch);
        let config = Config { lanes, lane_queue: queue, lane_batch: batch, lane_bulk };
        let lane = Lane::start("test", config, Gated(wait, tell), tracker.token()).unwrap();
        Test { lane, gate, batches, tracker }
    }

    fn later() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_arrives_during_a_batch_is_the_next_one() {
        let test = lane(100, 100);
        let mut callers = tokio::task::JoinSet::new();
        let submit = |n: u32, priority| {
            let lane = test.lane.clone();
            async move { lane.submit(n, later(), priority).await }
        };
        callers.spawn(submit(0, Priority::Normal));
        assert_eq!(test.batches.recv().unwrap(), [0]);
        for n in 1..=5 {
            callers.spawn(submit(n, Priority::Normal));
        }
        while test.lane.inner.queue().normal.len() < 5 {
            tokio::task::yield_now().await;
        }
        test.gate.send(()).unwrap();
        assert_eq!(test.batches.recv().unwrap().len(), 5);
        test.gate.send(()).unwrap();
        let mut sizes: Vec<usize> =
            callers.join_all().await.into_iter().map(Result::unwrap).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 5, 5, 5, 5, 5]);
        drop(test.lane);
        test.tracker.close();
        test.tracker.wait().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn too_many_are_refused_and_the_late_are_not_begun() {
        let test = lane(2, 100);
        let first = tokio::spawn({
            let lane = test.lane.clone();
            async move { lane.submit(0, later(), Priority::Normal).await }
        });
        test.batches.recv().unwrap();
        let too_late = tokio::spawn({
            let lane = test.lane.clone();
            async move { lane.submit(1, Deadline::after(Duration::ZERO), Priority::Normal).await }
        });
        let gone = tokio::spawn({
            let lane = test.lane.clone();
            async move { lane.submit(2, later(), Priority::Normal).await }
        });
        while test.lane.inner.queue().normal.len() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = test.lane.submit(3, later(), Priority::Normal).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Overloaded);
        assert!(refused.retry_after.is_some());
        gone.abort();
        assert!(gone.await.is_err());
        test.gate.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(too_late.await.unwrap().unwrap_err().reason, Reason::Deadline);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bulk_fills_half_of_a_batch_while_others_wait() {
        let test = lane(100, 10);
        let mut callers = tokio::task::JoinSet::new();
        let lane = test.lane.clone();
        callers.spawn(async move { lane.submit(0, later(), Priority::Normal).await });
        test.batches.recv().unwrap();
        for n in 0..40 {
            let (lane, bulk) = (test.lane.clone(), n < 20);
            let (job, priority) =
                if bulk { (100 + n, Priority::Bulk) } else { (n, Priority::Normal) };
            callers.spawn(async move { lane.submit(job, later(), priority).await });
        }
        while {
            let queue = test.lane.inner.queue();
            queue.normal.len() + queue.bulk.len() < 40
        } {
            tokio::task::yield_now().await;
        }
        for expected in [5, 5, 5, 5] {
            test.gate.send(()).unwrap();
            let batch = test.batches.recv().unwrap();
            assert_eq!(batch.len(), 10);
            assert_eq!(batch.iter().filter(|job| **job >= 100).count(), expected);
        }
        test.gate.send(()).unwrap();
        callers.join_all().await;
    }
}
