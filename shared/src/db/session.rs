//! A connection apart from the pool, for a thread that works all the time: no checkout, no hop to
//! another thread, and statements that stay prepared. It connects anew when it must.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager as Manager, TransactionManager as _};
use diesel::{Connection as _, PgConnection};

use super::error::connect_message;
use super::metrics::{Metrics, Started};
use super::retry::{Next, Retry};
use super::unit::{self, Mode, Step};
use super::{Config, DbError, Scope, UnitError};

/// A writer that is paused in the middle blocks others for no longer than this.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// A connection and the rules of its units of work. Everything about it blocks.
pub struct Session {
    url: Arc<str>,
    config: Config,
    metrics: Metrics,
    conn: Option<PgConnection>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("connected", &self.conn.is_some()).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(url: &Arc<str>, config: &Config, metrics: Metrics) -> Self {
        let mut config = config.clone();
        config.idle_in_transaction_timeout = config.idle_in_transaction_timeout.min(IDLE_MAX);
        Self { url: Arc::clone(url), config, metrics, conn: None }
    }

    /// Runs a write, like `Db::write`, on the calling thread.
    pub fn write<T, E: UnitError>(
        &mut self,
        name: &'static str,
        scope: Scope,
        f: impl FnMut(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(name, Mode::Write, scope, f)
    }

    /// Runs a read, like `Db::read`, on the calling thread: one snapshot for as long as it takes,
    /// however many statements that are. Each of them has the whole statement timeout.
    pub fn read<T, E: UnitError>(
        &mut self,
        name: &'static str,
        scope: Scope,
        f: impl FnMut(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(name, Mode::Read, scope, f)
    }

    fn run<T, E: UnitError>(
        &mut self,
        name: &'static str,
        mode: Mode,
        scope: Scope,
        mut f: impl FnMut(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let started = Started::now(name);
        let config = self.config.clone();
        let mut retry = Retry::new(scope, &config);
        let result = loop {
            match retry.next(self.attempt(mode, scope, &mut f)) {
                Next::Done(result) => break result,
                Next::Again(delay) => std::thread::sleep(delay),
            }
        };
        let error = result.as_ref().err().and_then(UnitError::database);
        self.metrics.finish(started, retry.retries(), error);
        result
    }

    fn attempt<T, E: UnitError>(
        &mut self,
        mode: Mode,
        scope: Scope,
        f: &mut impl FnMut(&mut PgConnection) -> Result<T, E>,
    ) -> Step<T, E> {
        // Taken, so that a panic leaves none behind.
        let conn = self.conn.take().map_or_else(|| PgConnection::establish(&self.url), Ok);
        let mut conn = match conn {
            Ok(conn) => conn,
            Err(error) => {
                return Step::Failed(DbError::Unavailable(connect_message(&error)).into());
            }
        };
        let Some(begin) = unit::begin(mode, scope, &self.config) else {
            self.conn = Some(conn);
            return Step::Failed(DbError::Deadline.into());
        };
        let step = unit::execute(&mut conn, &begin, f);
        let closed =
            |error: &E| matches!(error.database(), Some(DbError::Closed | DbError::CommitUnknown));
        let broken = match &step {
            Step::Done(_) => false,
            Step::Dead => true,
            Step::Failed(error) => {
                closed(error) || Manager::is_broken_transaction_manager(&mut conn)
            }
        };
        if !broken {
            self.conn = Some(conn);
        }
        step
    }
}
