//! Units of work on Postgres: `Db::read(name, scope, f)` and `Db::write(name, scope, f)`.
//!
//! Queries are plain synchronous functions over `&mut PgConnection` that assume a transaction.
//! Every unit has a name, by which its duration, retries and outcome are measured. A unit runs
//! detached from its caller: `interact` cannot be cancelled, and a connection that goes back to the
//! pool while a closure still has it would block the next user (deadpool 113). Its length is
//! bounded by `statement_timeout`, set from the remaining deadline in the same round trip as BEGIN.

mod error;
mod metrics;
mod migrate;
mod pool;
mod retry;
mod session;
mod statement;
mod unit;
mod wall;

use std::sync::Arc;

use diesel::PgConnection;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

pub use error::DbError;
pub use migrate::{MigrateError, Schema, check as check_schema, migrate, restore};
pub use pool::{Config, session_url};
pub use session::Session;
pub use statement::{Statement, statement};
pub use wall::Wall;

use crate::deadline::Deadline;
use crate::ids::TenantId;
use metrics::{Metrics, Started};
use pool::Pool;
use retry::{Next, Retry};
use unit::{Mode, Step};

/// The error of a unit of work: a service's own, which carries the database's.
pub trait UnitError: From<DbError> + From<diesel::result::Error> + Send + 'static {
    /// The database's error, where that is what went wrong.
    fn database(&self) -> Option<&DbError>;
}

impl UnitError for DbError {
    fn database(&self) -> Option<&DbError> {
        Some(self)
    }
}

/// In whose name, and until when, a unit of work runs.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// The tenant whose rows the policies show; without one they show none.
    pub tenant: Option<TenantId>,
    /// When nobody waits for it any more.
    pub deadline: Deadline,
}

impl Scope {
    /// A tenant's work.
    pub fn tenant(tenant: TenantId, deadline: Deadline) -> Self {
        Self { tenant: Some(tenant), deadline }
    }

    /// The work of these tenants: one alone stands in its scope, between several is a `Wall`.
    pub fn of(tenants: impl IntoIterator<Item = TenantId>, deadline: Deadline) -> Self {
        let mut tenants = tenants.into_iter();
        let first = tenants.next();
        let tenant = first.filter(|first| tenants.all(|other| other == *first));
        Self { tenant, deadline }
    }

    /// Work on tables that no tenant owns.
    pub fn tenantless(deadline: Deadline) -> Self {
        Self { tenant: None, deadline }
    }
}

/// The database of one service.
#[derive(Clone)]
pub struct Db {
    writer_url: Arc<str>,
    pool: Pool,
    config: Arc<Config>,
    units: TaskTracker,
    metrics: Metrics,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl Db {
    /// The database behind a runtime URL. Nothing is connected yet.
    pub fn new(url: &str, schema: &str, config: Config) -> Result<Self, DbError> {
        let pool = pool::build(&session_url(url, schema), &config)
            .map_err(|error| DbError::Fault(error.to_string()))?;
        let metrics = Metrics::new(schema);
        let writer_url = pool::writer_url(url, schema).into();
        Ok(Self { writer_url, pool, config: Arc::new(config), units: TaskTracker::new(), metrics })
    }

    /// Runs a read: one snapshot for all its queries, and no writes.
    pub async fn read<T, E, F>(&self, name: &'static str, scope: Scope, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: UnitError,
        F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
    {
        self.run(name, Mode::Read, scope, f).await
    }

    /// Runs a write: `f` is one transaction, READ COMMITTED, and may be called several times. An
    /// error rolls it back.
    pub async fn write<T, E, F>(&self, name: &'static str, scope: Scope, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: UnitError,
        F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
    {
        self.run(name, Mode::Write, scope, f).await
    }

    /// Waits for the units that still run, whose callers may be gone, and closes the pool, so that
    /// later ones are refused.
    pub async fn drain(&self) {
        self.units.close();
        self.units.wait().await;
        self.pool.close();
    }

    async fn run<T, E, F>(&self, name: &'static str, mode: Mode, scope: Scope, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: UnitError,
        F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
    {
        let span = tracing::info_span!(
            "db",
            otel.name = name,
            otel.kind = "client",
            db.system.name = "postgresql",
            db.operation.name = name,
        );
        let db = self.clone();
        let unit = async move { db.attempts(name, mode, scope, Arc::new(f)).await };
        match self.units.spawn(unit.instrument(span)).await {
            Ok(result) => result,
            Err(panic) => Err(DbError::Fault(panic.to_string()).into()),
        }
    }

    /// A connection apart from the pool, for a thread that writes all the time. Its `owner` is what
    /// `drain` waits for.
    pub fn session(&self) -> (Session, TaskTrackerToken) {
        (Session::new(&self.writer_url, &self.config, self.metrics.clone()), self.units.token())
    }

    async fn attempts<T, E, F>(
        &self,
        name: &'static str,
        mode: Mode,
        scope: Scope,
        f: Arc<F>,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: UnitError,
        F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
    {
        let started = Started::now(name);
        let mut retry = Retry::new(scope, &self.config);
        let result = loop {
            match retry.next(self.attempt(mode, scope, &f).await) {
                Next::Done(result) => break result,
                Next::Again(delay) => tokio::time::sleep(delay).await,
            }
        };
        let error = result.as_ref().err().and_then(UnitError::database);
        self.metrics.finish(started, retry.retries(), error);
        result
    }

    async fn attempt<T, E, F>(&self, mode: Mode, scope: Scope, f: &Arc<F>) -> Step<T, E>
    where
        T: Send + 'static,
        E: UnitError,
        F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
    {
        let connection = match pool::get(&self.pool, scope.deadline, &self.config).await {
            Ok(connection) => connection,
            Err(error) => return Step::Failed(error.into()),
        };
        let Some(begin) = unit::begin(mode, scope, &self.config) else {
            return Step::Failed(DbError::Deadline.into());
        };
        let f = Arc::clone(f);
        let step =
            connection.interact(move |conn| unit::execute(conn, &begin, |conn| f(conn))).await;
        match step {
            Ok(step) => {
                if matches!(step, Step::Dead) {
                    // Out of the pool, or the next one gets it.
                    drop(deadpool_diesel::postgres::Object::take(connection));
                }
                step
            }
            // A panic poisons the connection, and the pool drops it at the next checkout.
            Err(panic) => Step::Failed(DbError::Fault(panic.to_string()).into()),
        }
    }
}
