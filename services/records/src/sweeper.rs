//! Works in the background for every tenant in turn: erasures that are due, records whose retention
//! has ended, reviews that are late, uploads that nobody goes on with, rotations of keys. One
//! replica at a time has a tenant; each step is safe where two have, since a lease may end under
//! its holder.

mod partitions;
mod retention;
mod reviews;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::PgConnection;
use opentelemetry::global;
use opentelemetry::metrics::Gauge;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::record::RecordId;
use crate::erasing;
use crate::error::Error;
use crate::rotation;
use crate::rpc::Rpc;
use crate::store::{break_glass_leases, erasures, sweeps};
use crate::uploads_sweep;

/// After this much time a replica that has taken a tenant is given up.
const LEASE: Duration = Duration::from_secs(10);
/// How long one unit of work may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Looks at a tenant, one after the other, before it is the next one's turn.
const LOOKS: usize = 20;
/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Between two looks for partitions that are missing.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Late reviews that are counted at most.
const LATE_MAX: i64 = 10_000;

/// The background worker.
pub(crate) struct Sweeper {
    rpc: Rpc,
    /// Between two rounds, unless there is something to do at once.
    interval: Duration,
    /// How far the look for records whose retention has ended is in each tenant.
    expired: BTreeMap<TenantId, Option<(Timestamp, RecordId)>>,
    /// When partitions were made ahead last.
    partitioned: Option<Instant>,
    metrics: Metrics,
}

impl Sweeper {
    /// A worker that has not begun.
    pub(crate) fn new(rpc: Rpc, interval: Duration) -> Self {
        let metrics = Metrics::new();
        Self { rpc, interval, expired: BTreeMap::new(), partitioned: None, metrics }
    }

    /// Works until the shutdown. A step that has begun is finished: its statements have limits.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let sweep = Arc::clone(&self.rpc.sweep);
        while !shutdown.is_cancelled() {
            if let Err(problem) = self.round(&shutdown).await {
                tracing::warn!(%problem, "cannot look for what there is to do");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sweep.notified() => {}
                () = tokio::time::sleep(self.interval.max(INTERVAL_MIN)) => {}
            }
        }
    }

    async fn round(&mut self, shutdown: &CancellationToken) -> Result<(), Problem> {
        if self.partitioned.is_none_or(|last| last.elapsed() > PARTITIONS_INTERVAL) {
            partitions::make(&self.rpc).await?;
            self.partitioned = Some(Instant::now());
        }
        let tenants = self.rpc.tenants.all(Deadline::after(TIMEOUT)).await?;
        self.expired.retain(|tenant, _| tenants.contains(tenant));
        self.metrics.seen.retain(|tenant, _| tenants.contains(tenant));
        for tenant in tenants {
            if shutdown.is_cancelled() {
                break;
            }
            if let Err(problem) = self.tenant(tenant, shutdown).await {
                tracing::warn!(%problem, %tenant, "cannot work for a tenant");
            }
        }
        self.metrics.show();
        Ok(())
    }

    /// Works for a tenant until there is no more to do, or it is another's turn.
    async fn tenant(&mut self, id: TenantId, shutdown: &CancellationToken) -> Result<(), Problem> {
        let tenant = self.rpc.tenants.get(id, Deadline::after(TIMEOUT)).await?;
        if tenant.allow(false).is_err() {
            return Ok(());
        }
        let (mut held, mut more) = (None, true);
        for _ in 0..LOOKS {
            held = self.take(id, held).await?;
            more = held.is_some() && self.steps(&tenant).await;
            if !more || shutdown.is_cancelled() {
                break;
            }
        }
        if more {
            // It goes on as soon as the others have had their turn.
            self.rpc.sweep.notify_one();
        }
        match held {
            Some(held) => self.settle(id, held).await,
            None => Ok(()),
        }
    }

    /// Takes one of each of the steps. True where there is more to do at once.
    async fn steps(&mut self, tenant: &Arc<TenantInfo>) -> bool {
        let rpc = &self.rpc;
        let cursor = self.expired.entry(tenant.id).or_default();
        let mut more = told("erase subjects", erasing::step(rpc, tenant)).await;
        more |= told("end retention", retention::step(rpc, tenant, cursor)).await;
        more |= told("tell of late reviews", reviews::step(rpc, tenant)).await;
        more |= told("remove uploads", uploads_sweep::step(rpc, tenant)).await;
        more | told("rotate keys", rotation::step(rpc, tenant)).await
    }

    async fn take(
        &self,
        id: TenantId,
        held: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Problem> {
        let (scope, now) = (scope(id), self.rpc.clock.now());
        let take = move |conn: &mut PgConnection| {
            Ok::<_, Error>(sweeps::take(conn, id, held, now, LEASE)?)
        };
        Ok(self.rpc.db.write("take_sweep", scope, take).await?)
    }

    /// Gives the tenant back, and looks at what waits for people.
    async fn settle(&mut self, id: TenantId, held: Timestamp) -> Result<(), Problem> {
        let (scope, now) = (scope(id), self.rpc.clock.now());
        let settle = move |conn: &mut PgConnection| {
            sweeps::release(conn, id, held, now)?;
            let blocked = erasures::blocked_count(conn, id)?;
            let late = break_glass_leases::late_count(conn, id, now, LATE_MAX)?;
            Ok::<_, Error>(Seen { blocked, late })
        };
        let seen = self.rpc.db.write("settle_sweep", scope, settle).await?;
        self.metrics.seen.insert(id, seen);
        Ok(())
    }
}

/// A step that fails does not hold up the others: it is told, and tried again in the next round.
async fn told(what: &str, step: impl Future<Output = Result<bool, Problem>>) -> bool {
    step.await.unwrap_or_else(|problem| {
        tracing::warn!(%problem, "cannot {what}");
        false
    })
}

/// A tenant's unit of work.
fn scope(tenant: TenantId) -> Scope {
    Scope::tenant(tenant, Deadline::after(TIMEOUT))
}

/// What waits for people in a tenant.
struct Seen {
    blocked: i64,
    late: i64,
}

struct Metrics {
    blocked: Gauge<i64>,
    late: Gauge<i64>,
    seen: BTreeMap<TenantId, Seen>,
}

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("strongroom");
        Self {
            blocked: meter
                .i64_gauge("strongroom.erasures.blocked")
                .with_description("Erasures that something forbids, in all tenants")
                .build(),
            late: meter
                .i64_gauge("strongroom.break_glass.overdue")
                .with_description("Break-glass leases whose review is late, in all tenants")
                .build(),
            seen: BTreeMap::new(),
        }
    }

    fn show(&self) {
        self.blocked.record(self.seen.values().map(|seen| seen.blocked).sum(), &[]);
        self.late.record(self.seen.values().map(|seen| seen.late).sum(), &[]);
    }
}
