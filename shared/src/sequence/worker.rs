//! What the sequencer does on its thread: rounds of tenants, and checkpoints of what has grown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::drain::{Drained, drain};
use super::{Describe, Signing, store};
use crate::boot::Service;
use crate::clock::Clock;
use crate::db::{Db, DbError, Scope, Session};
use crate::deadline::Deadline;
use crate::ids::TenantId;
use crate::telemetry;
use crate::transparency::store::{self as log, Signed};
use crate::transparency::{Checkpoint, origin, tree};

/// How long one transaction may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before a checkpoint that could not be signed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Checkpoints of one round.
const SIGNED_MAX: usize = 32;

/// What a round did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The logs that have grown, and their sizes.
    pub(super) grown: Vec<(TenantId, u64)>,
    /// Tenants for the next round.
    pub(super) again: BTreeSet<TenantId>,
    /// More was waiting than one round takes.
    pub(super) is_behind: bool,
    /// The database was away.
    pub(super) is_away: bool,
}

/// The blocking half of the sequencer.
pub(super) struct Worker {
    service: &'static str,
    describe: Describe,
    session: Session,
    /// The database drains once this is gone.
    _owner: TaskTrackerToken,
    clock: Clock,
    signing: Option<Signing>,
    /// Between two checkpoints of a tenant.
    interval: Duration,
    /// The logs that have grown since they were signed, and when each is next.
    due: BTreeMap<TenantId, Instant>,
    /// Where the last look for what others left behind has ended.
    swept: Option<TenantId>,
    events: Counter<u64>,
    lag: Histogram<f64>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Worker {
    pub(super) fn new(
        service: &Service,
        db: &Db,
        clock: Clock,
        interval: Duration,
        signing: Option<Signing>,
    ) -> Self {
        let (session, owner) = db.session();
        let meter = global::meter("strongroom");
        Self {
            service: service.schema.name,
            describe: service.describe,
            session,
            _owner: owner,
            clock,
            signing,
            interval,
            due: BTreeMap::new(),
            swept: None,
            events: meter
                .u64_counter("strongroom.sequence.events")
                .with_description("Events that were given their position")
                .build(),
            lag: meter
                .f64_histogram("strongroom.sequence.lag")
                .with_unit("s")
                .with_description("From the making of a change until it is given its position")
                .with_boundaries(telemetry::SECONDS.to_vec())
                .build(),
        }
    }

    /// Sequences these tenants, looks for what others left behind, and signs what is due.
    pub(super) fn round(&mut self, tenants: &BTreeSet<TenantId>, sweep: Option<i64>) -> Done {
        let mut done = Done::default();
        self.sequence(tenants, &mut done);
        if let Some(limit) = sweep
            && let Err(error) = self.sweep(limit, &mut done)
        {
            self.failed("look for what is left behind", &error, &mut done);
        }
        self.sign(&mut done);
        done
    }

    /// Several tenants in one commit; where that fails, each alone, so that one does not stop the
    /// others. What fails alone is found again by the next look for what is left.
    fn sequence(&mut self, tenants: &BTreeSet<TenantId>, done: &mut Done) {
        let Err(error) = self.drain(tenants, done) else {
            return;
        };
        if is_away(&error) || tenants.len() == 1 {
            return self.failed("sequence", &error, done);
        }
        for tenant in tenants {
            if let Err(error) = self.drain(&BTreeSet::from([*tenant]), done) {
                self.failed("sequence a tenant", &error, done);
                if is_away(&error) {
                    return;
                }
            }
        }
    }

    fn drain(&mut self, tenants: &BTreeSet<TenantId>, done: &mut Done) -> Result<(), DbError> {
        if tenants.is_empty() {
            return Ok(());
        }
        let describe = self.describe;
        let drained: Vec<(TenantId, Option<Drained>)> =
            self.session.write("sequence", every(), |conn| {
                let one = |tenant: &TenantId| {
                    enter(conn, *tenant)?;
                    Ok::<_, DbError>((*tenant, drain(conn, *tenant, describe)?))
                };
                tenants.iter().map(one).collect()
            })?;
        let now = self.clock.now().micros();
        let labels = [KeyValue::new("db.namespace", self.service)];
        for (tenant, drained) in drained {
            let Some(drained) = drained else {
                // Another replica is at it, and may have looked before this change.
                done.again.insert(tenant);
                continue;
            };
            for (count, time) in &drained.events {
                let lag = u64::try_from(now - time.micros()).unwrap_or(0);
                self.lag.record(Duration::from_micros(lag).as_secs_f64(), &labels);
                self.events.add(*count, &labels);
            }
            if drained.more {
                done.is_behind = true;
                done.again.insert(tenant);
            }
            if !drained.events.is_empty() {
                self.grew(tenant);
                done.grown.push((tenant, drained.size));
            }
        }
        Ok(())
    }

    /// Looks at some tenants, another time at others, whether anything is left to do for them.
    fn sweep(&mut self, limit: i64, done: &mut Done) -> Result<(), DbError> {
        let behind = self.swept;
        let left = self.session.write("find_unsequenced", every(), |conn| {
            let tenants = store::tenants(conn, behind, limit)?;
            let left = |tenant| {
                enter(conn, tenant)?;
                Ok((tenant, store::left(conn, tenant)?))
            };
            tenants.into_iter().map(left).collect::<Result<Vec<_>, DbError>>()
        })?;
        let is_end = left.len() < usize::try_from(limit).unwrap_or_default();
        self.swept = left.last().map(|(tenant, _)| *tenant).filter(|_| !is_end);
        for (tenant, left) in left {
            if left.unsequenced {
                done.again.insert(tenant);
            }
            if left.unsigned {
                self.grew(tenant);
            }
        }
        Ok(())
    }

    fn grew(&mut self, tenant: TenantId) {
        if self.signing.is_some() {
            self.due.entry(tenant).or_insert_with(|| Instant::now() + self.interval);
        }
    }

    /// Signs what is due, tenant by tenant, so that one does not stop the others.
    fn sign(&mut self, done: &mut Done) {
        let now = Instant::now();
        let due = self.due.iter().filter(|(_, at)| **at <= now).map(|(tenant, _)| *tenant);
        let tenants: Vec<TenantId> = due.take(SIGNED_MAX).collect();
        for tenant in tenants {
            match self.sign_one(tenant) {
                Ok(()) => {
                    self.due.remove(&tenant);
                }
                Err(error) => {
                    self.due.insert(tenant, now + self.interval.max(RETRY));
                    self.failed("sign a checkpoint", &error, done);
                    if is_away(&error) {
                        return;
                    }
                }
            }
        }
    }

    /// What is signed is committed, so no file ever knows of more than the database; and what the
    /// database shows of it is in the file already.
    fn sign_one(&mut self, tenant: TenantId) -> Result<(), DbError> {
        let Some(signing) = &self.signing else {
            return Ok(());
        };
        let (size, root) = self.session.write("read_root", scope(tenant), |conn| {
            let size = log::size(conn, tenant)?;
            Ok::<_, DbError>((size, tree::root(conn, tenant, size)?))
        })?;
        let origin = origin(self.service, tenant, signing.timeline);
        let note = signing.key.sign(&Checkpoint { origin, size, root });
        let note = note.ok_or_else(|| DbError::Fault("the checkpoint is none".to_owned()))?;
        if let Some(folder) = &signing.folder {
            folder.append(tenant, &note).map_err(|error| DbError::Fault(error.to_string()))?;
        }
        let (signed, time) = (Signed { size, root, note }, self.clock.now());
        self.session.write("insert_checkpoint", scope(tenant), |conn| {
            Ok(log::insert(conn, tenant, &signed, time)?)
        })
    }

    fn failed(&self, what: &str, error: &DbError, done: &mut Done) {
        done.is_away |= is_away(error);
        tracing::warn!(service = self.service, %error, "the sequencer cannot {what}");
    }
}

fn is_away(error: &DbError) -> bool {
    matches!(error, DbError::Unavailable(_))
}

fn scope(tenant: TenantId) -> Scope {
    Scope::tenant(tenant, Deadline::after(TIMEOUT))
}

/// Of several tenants, one after the other.
fn every() -> Scope {
    Scope::tenantless(Deadline::after(TIMEOUT))
}

/// From here on the policies show this tenant's rows. A UUID needs no quoting.
fn enter(conn: &mut PgConnection, tenant: TenantId) -> Result<(), DbError> {
    Ok(conn.batch_execute(&format!("SET LOCAL strongroom.tenant = '{}'", tenant.uuid()))?)
}
