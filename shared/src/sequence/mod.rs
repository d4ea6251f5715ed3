//! The sequencer: it gives what committed its position, once, in one order without gaps, and puts
//! its hash into the log of the tenant.
//!
//! Writers never wait for it: they insert a row of `changes` in their own transaction, and the
//! sequencer comes by afterwards. Any number of replicas may do so at once. Whoever gives positions
//! has the lock on the tenant's row of `logs` until its commit, so there is one at a time; one that
//! is paused in the middle loses its transaction as a whole after a second, and with it the lock.

mod drain;
pub(crate) mod events;
mod heads;
mod leaves;
mod reads;
mod store;
mod worker;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::boot::Service;
use crate::changes::{Leaf, Subjects};
use crate::clock::Clock;
use crate::config::Log;
use crate::db::{Db, DbError};
use crate::ids::TenantId;
use crate::task;
use crate::time::Timestamp;
use crate::transparency::{Folder, LogKey};

pub use events::Event;
pub(crate) use heads::Heads;
pub use leaves::describe;
pub(crate) use reads::located;
use worker::Worker;

/// Says what changes of one kind were, in the order of their subjects: from rows, set-based.
pub type Describe = fn(&mut PgConnection, TenantId, &str, &Subjects) -> Result<Vec<Leaf>, DbError>;

/// Says when a resource was made, near which its change is found.
pub type Locate = fn(&mut PgConnection, TenantId, &str) -> Result<Option<Timestamp>, DbError>;

/// Tenants of one round.
const ROUND_TENANTS: usize = 64;
/// Tenants of one look for what other replicas left behind.
const SWEEP_TENANTS: i64 = 100;
/// Between such looks.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Before the next round where the database was away.
const BACKOFF: Duration = Duration::from_secs(1);
/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(5);

/// Tells the sequencer of this process that a tenant has new changes, which are committed. It is
/// only faster with it: what nobody tells is found as well.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// No more than there are tenants.
    tenants: Mutex<BTreeSet<TenantId>>,
    arrived: Notify,
}

impl Nudge {
    /// A tenant has new changes.
    pub fn tenant(&self, tenant: TenantId) {
        if self.tenants().insert(tenant) {
            self.0.arrived.notify_one();
        }
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, BTreeSet<TenantId>> {
        self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some of those that wait, behind this one first, so that each has its turn.
    fn take(&self, behind: Option<TenantId>) -> BTreeSet<TenantId> {
        let mut waiting = self.tenants();
        let begin = behind.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let later = waiting.range((begin, std::ops::Bound::Unbounded));
        let taken: BTreeSet<TenantId> =
            later.chain(waiting.iter()).take(ROUND_TENANTS).copied().collect();
        waiting.retain(|tenant| !taken.contains(tenant));
        taken
    }

    fn is_empty(&self) -> bool {
        self.tenants().is_empty()
    }
}

/// Signs checkpoints, and writes them outside the database where there is a folder.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(crate) key: LogKey,
    pub(crate) folder: Option<Folder>,
    pub(crate) timeline: uuid::Uuid,
}

/// The background worker, one for each process and service.
#[derive(Debug)]
pub(crate) struct Sequencer {
    nudge: Nudge,
    heads: Heads,
    interval: Duration,
    worker: Worker,
}

impl Sequencer {
    /// A sequencer with a connection of its own.
    pub(crate) fn new(
        service: &Service,
        db: &Db,
        clock: Clock,
        config: &Log,
        signing: Option<Signing>,
        heads: Heads,
    ) -> Self {
        let worker = Worker::new(service, db, clock, config.checkpoint_interval, signing);
        let interval = config.sequence_interval.max(INTERVAL_MIN);
        Self { nudge: Nudge::default(), heads, interval, worker }
    }

    /// What tells it of changes.
    pub(crate) fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Works until the shutdown. A round that has begun is finished: its statements have limits.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { nudge, heads, interval, mut worker } = self;
        let (mut sweep_at, mut last) = (Instant::now(), None);
        loop {
            if nudge.is_empty() {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = nudge.0.arrived.notified() => {}
                    () = tokio::time::sleep_until(sweep_at.into()) => {}
                }
            }
            let (started, tenants) = (Instant::now(), nudge.take(last));
            last = tenants.last().copied();
            let sweep = (started >= sweep_at).then_some(SWEEP_TENANTS);
            let work = move || {
                let done = worker.round(&tenants, sweep);
                (worker, done)
            };
            let done = match task::blocking(work).await {
                Ok((back, done)) => {
                    worker = back;
                    done
                }
                Err(panic) => return tracing::error!(%panic, "the sequencer ended"),
            };
            if sweep.is_some() {
                sweep_at = Instant::now() + SWEEP_INTERVAL;
            }
            for (tenant, size) in done.grown {
                heads.publish(tenant, size);
            }
            for tenant in done.again {
                nudge.tenant(tenant);
            }
            // Never busier than half of the time: postings come first.
            let elapsed = started.elapsed();
            let pause = match (done.is_away, done.is_behind) {
                (true, _) => BACKOFF,
                (false, true) => elapsed,
                (false, false) => elapsed.max(interval),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenant_has_its_turn() {
        let nudge = Nudge::default();
        let all: BTreeSet<TenantId> = (0..100).map(|_| TenantId::generate()).collect();
        for tenant in &all {
            nudge.tenant(*tenant);
        }
        let first = nudge.take(None);
        assert_eq!(first.len(), ROUND_TENANTS);
        // The first ones are at it again at once, and those that waited are not passed over.
        for tenant in &first {
            nudge.tenant(*tenant);
        }
        let second = nudge.take(first.last().copied());
        assert!(all.difference(&first).all(|tenant| second.contains(tenant)));
    }
}
