//! Verifies the books in the background, slice by slice, all the time: a little of each tenant in
//! turn, so that it costs about nothing. What does not match is looked at again in a new snapshot
//! before anybody is accused.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use diesel::PgConnection;
use opentelemetry::global;
use opentelemetry::metrics::{Counter, Gauge};
use shared::clock::Clock;
use shared::db::{Db, DbError, Scope, Session};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::task::blocking;
use shared::tenants::Tenants;
use shared::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::domain::Finding;
use crate::error::Error;
use crate::store::audits::{self, Taken, later};
use crate::store::mismatches;
use crate::verifier::{Books, Place, accuse, recheck, step};

/// How long a slice may take, and a second look.
const TIMEOUT: Duration = Duration::from_secs(30);
/// After this much time a replica that has taken a slice is given up.
const LEASE: Duration = Duration::from_secs(90);
/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// A look at a tenant costs at least this part of a slice, however little there is.
const LOOKS: i64 = 4;
/// Rows of a slice of a second look, which is not spread over time.
const AGAIN: i64 = 20_000;
/// Findings of one slice that are written down at most: the next rounds find the others.
const FINDINGS_MAX: usize = 100;
/// Open mismatches that are counted at most.
const OPEN_MAX: i64 = 10_000;

/// The background worker.
pub(crate) struct Auditor {
    /// Between two slices.
    pub(crate) interval: Duration,
    /// Entries of a slice.
    pub(crate) slice: i64,
    pub(crate) tenants: Tenants,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
}

impl Auditor {
    /// Works until the shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let (metrics, turn) = (Metrics::new(), VecDeque::new());
        let mut worker = Worker { auditor: self, session: None, metrics, turn };
        let work = async {
            loop {
                tokio::time::sleep(worker.auditor.interval.max(INTERVAL_MIN)).await;
                if let Err(problem) = worker.round().await {
                    tracing::warn!(%problem, "cannot audit the books");
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }
}

struct Worker {
    auditor: Auditor,
    /// None until it is needed, and while a thread has it; with what the shutdown waits for.
    session: Option<(Session, TaskTrackerToken)>,
    metrics: Metrics,
    /// The tenants that are next.
    turn: VecDeque<TenantId>,
}

impl Worker {
    /// Looks at tenants in turn until a slice is used up, and at none twice.
    async fn round(&mut self) -> Result<(), Problem> {
        if self.turn.is_empty() {
            self.turn = self.auditor.tenants.all(Deadline::after(TIMEOUT)).await?.into();
            self.metrics.keep(&self.turn);
        }
        let (slice, mut rest) = (self.auditor.slice, self.auditor.slice);
        while rest > 0 {
            let Some(tenant) = self.turn.pop_front() else { break };
            match self.tenant(tenant, rest).await {
                Ok(rows) => rest -= rows.max(slice / LOOKS).max(1),
                Err(problem) => {
                    rest -= slice / LOOKS + 1;
                    tracing::warn!(%problem, %tenant, "cannot audit the books of a tenant");
                }
            }
        }
        self.metrics.show(self.auditor.clock.now());
        Ok(())
    }

    /// Looks at a slice of the books of a tenant, and gives how many rows that were.
    async fn tenant(&mut self, id: TenantId, limit: i64) -> Result<i64, Problem> {
        let scope = || Scope::tenant(id, Deadline::after(TIMEOUT));
        let (db, now) = (self.auditor.db.clone(), self.auditor.clock.now());
        let start = text(&Place::START);
        let take = move |conn: &mut PgConnection| {
            Ok::<_, DbError>(audits::take(conn, id, &start, now, LEASE)?)
        };
        let Some(taken) = db.write("take_audit", scope(), take).await? else { return Ok(0) };
        let tenant = self.auditor.tenants.get(id, Deadline::after(TIMEOUT)).await?;
        let books = Books::of(&tenant);
        // A place that another version wrote is none: it begins anew.
        let place = serde_json::from_str(&taken.place).unwrap_or(Place::START);
        let look = books.clone();
        let (slice, place) = self
            .read("audit_books", id, move |conn| step(conn, &look, place.clone(), limit, true))
            .await?;
        self.metrics.entries.add(slice.counts.entries.cast_unsigned(), &[]);
        if !slice.findings.is_empty() {
            self.accuse(books, slice.findings).await?;
        }
        let next = next(&taken, place, now);
        let (round_time, rows) = (next.round_time.unwrap_or(next.start_time), slice.rows);
        let due = later(now, self.auditor.interval);
        let settle = move |conn: &mut PgConnection| {
            audits::settle(conn, id, &taken, &next, due)?;
            Ok::<_, DbError>(mismatches::open_count(conn, id, OPEN_MAX)?)
        };
        let open = db.write("settle_audit", scope(), settle).await?;
        self.metrics.seen.insert(id, Seen { open: i64::from(open), round_time });
        Ok(rows)
    }

    /// Looks again, and writes down what still is so.
    async fn accuse(&mut self, books: Books, findings: Vec<Finding>) -> Result<(), Problem> {
        let tenant = books.tenant;
        let again = move |conn: &mut PgConnection| recheck(conn, &books, &findings, AGAIN);
        let mut findings = self.read("audit_again", tenant, again).await?;
        findings.truncate(FINDINGS_MAX);
        if findings.is_empty() {
            return Ok(());
        }
        let now = self.auditor.clock.now();
        let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
        let write = move |conn: &mut PgConnection| accuse(conn, tenant, &findings, now);
        let new = self.auditor.db.write("accuse", scope, write).await?;
        if new > 0 {
            // What and where is in the table, for those who may know.
            tracing::error!(%tenant, new, "the books do not match: see ListMismatches");
            self.metrics.found.add(new as u64, &[]);
        }
        Ok(())
    }

    /// Runs a read on the auditor's own connection.
    async fn read<T: Send + 'static>(
        &mut self,
        name: &'static str,
        tenant: TenantId,
        f: impl FnMut(&mut PgConnection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let (mut session, owner) = self.session.take().unwrap_or_else(|| self.auditor.db.session());
        let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
        let work = move || {
            let read = session.read(name, scope, f);
            ((session, owner), read)
        };
        let (session, read) = blocking(work).await.map_err(|_| Problem::internal())?;
        self.session = Some(session);
        Ok(read?)
    }
}

/// What is written down of a slice: at the end of a round the next begins.
fn next(taken: &Taken, place: Option<Place>, now: Timestamp) -> Taken {
    match place {
        Some(place) => Taken { place: text(&place), ..taken.clone() },
        None => Taken {
            place: text(&Place::START),
            start_time: now,
            round_time: Some(taken.start_time),
            ..taken.clone()
        },
    }
}

/// Plain data with string keys, which always serialises.
fn text(place: &Place) -> String {
    serde_json::to_string(place).unwrap_or_default()
}

/// What was seen of a tenant.
struct Seen {
    open: i64,
    /// When the last whole round began; the first one where there is none.
    round_time: Timestamp,
}

struct Metrics {
    entries: Counter<u64>,
    found: Counter<u64>,
    open: Gauge<i64>,
    age: Gauge<f64>,
    seen: BTreeMap<TenantId, Seen>,
}

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("strongroom");
        Self {
            entries: meter
                .u64_counter("strongroom.audit.entries")
                .with_description("Entries that the auditor has looked at")
                .build(),
            found: meter
                .u64_counter("strongroom.audit.mismatches.found")
                .with_description("Mismatches that the auditor has found")
                .build(),
            open: meter
                .i64_gauge("strongroom.audit.mismatches.open")
                .with_description("Mismatches that nobody has resolved, in all tenants")
                .build(),
            age: meter
                .f64_gauge("strongroom.audit.age")
                .with_unit("s")
                .with_description(
                    "Time since the begin of the last whole round, of the tenant with the oldest",
                )
                .build(),
            seen: BTreeMap::new(),
        }
    }

    /// Forgets tenants that are not there any more.
    fn keep(&mut self, tenants: &VecDeque<TenantId>) {
        self.seen.retain(|tenant, _| tenants.contains(tenant));
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of years are exact")]
    fn show(&self, now: Timestamp) {
        self.open.record(self.seen.values().map(|seen| seen.open).sum(), &[]);
        let oldest = self.seen.values().map(|seen| seen.round_time).min();
        let age = oldest.map_or(0, |oldest| now.micros() - oldest.micros());
        self.age.record(age.max(0) as f64 / 1e6, &[]);
    }
}
