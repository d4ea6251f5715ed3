//! One attempt at one unit of work, on the blocking thread that has the connection.

use diesel::connection::{AnsiTransactionManager, CacheSize, TransactionManager};
use diesel::{Connection, PgConnection};

use super::{Config, DbError, Scope, UnitError};

/// Whether a unit writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

/// How an attempt ended.
pub(super) enum Step<T, E> {
    /// Committed.
    Done(T),
    /// Rolled back, or unknown.
    Failed(E),
    /// The connection was dead before anything began.
    Dead,
}

/// How a transaction begins.
pub(super) struct Begin {
    sql: String,
    prepared: bool,
}

/// BEGIN with all that holds for this transaction alone, as one round trip; `None` once the
/// deadline has passed. The tenant is a UUID, so there is nothing to quote.
pub(super) fn begin(mode: Mode, scope: Scope, config: &Config) -> Option<Begin> {
    let remaining = scope.deadline.remaining();
    if remaining.is_zero() {
        return None;
    }
    let begin = match mode {
        Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
    };
    let statement_ms = remaining.min(config.statement_timeout).as_millis().max(1);
    let lock_ms = remaining.min(config.lock_timeout).as_millis().max(1);
    let idle_ms = config.idle_in_transaction_timeout.as_millis().max(1);
    let tenant = scope.tenant.map(|tenant| tenant.uuid().to_string()).unwrap_or_default();
    let sql = format!(
        "{begin}; SET LOCAL statement_timeout = {statement_ms}; \
         SET LOCAL lock_timeout = {lock_ms}; \
         SET LOCAL idle_in_transaction_session_timeout = {idle_ms}; \
         SET LOCAL strongroom.tenant = '{tenant}'"
    );
    Some(Begin { sql, prepared: config.prepared_statements })
}

/// Begins, runs, and commits or rolls back.
pub(super) fn execute<T, E: UnitError>(
    conn: &mut PgConnection,
    begin: &Begin,
    f: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Step<T, E> {
    if !begin.prepared {
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
    }
    if let Err(error) = AnsiTransactionManager::begin_transaction_sql(conn, &begin.sql) {
        return match DbError::from(error) {
            DbError::Closed => Step::Dead,
            other => Step::Failed(other.into()),
        };
    }
    match f(conn) {
        Ok(value) => match commit(conn) {
            Ok(()) => Step::Done(value),
            Err(error) => Step::Failed(error.into()),
        },
        Err(error) => {
            // If this fails the connection is broken, and the pool sees that by itself.
            let _ = <PgConnection as Connection>::TransactionManager::rollback_transaction(conn);
            Step::Failed(error)
        }
    }
}

fn commit(conn: &mut PgConnection) -> Result<(), DbError> {
    let result = <PgConnection as Connection>::TransactionManager::commit_transaction(conn);
    result
        .map_err(|error| match error {
            // Diesel wraps a failed COMMIT whose ROLLBACK failed too.
            diesel::result::Error::RollbackErrorOnCommit { commit_error, .. } => {
                (*commit_error).into()
            }
            other => other.into(),
        })
        .map_err(|error| match error {
            DbError::Closed | DbError::Fault(_) => DbError::CommitUnknown,
            other => other,
        })
}
