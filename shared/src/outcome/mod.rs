//! Request ids (AIP-155): a write happens once for each id, and its outcome can be asked for.
//!
//! An id is claimed in the transaction of the write itself, so there is no moment in which one is
//! there without the other. Success and decisions of business are frozen; every other error rolls
//! the claim back and leaves the id free. A write that also needs another service claims the id as
//! IN_PROGRESS under a lease, and settles it in its last transaction.

mod list;
mod store;

use std::time::Duration;

use aws_lc_rs::hmac;
use diesel::PgConnection;
use serde::Serialize;

use crate::db::{Db, DbError, Scope, UnitError};
use crate::ids::TenantId;
use crate::problem::{Problem, Reason};
use crate::tenants::TenantKey;
use crate::time::Timestamp;

pub use list::{Place, list};
pub use store::{
    Found, INSERT, Outcome, OutcomeState, fence, find_all, insert_all, insertion, lock, reject,
    select,
};

/// The version of the hash. A change of how requests are decoded needs a new one.
const HASH_VERSION: u8 = 1;

/// One write under one request id.
#[derive(Debug, Clone)]
pub struct Request {
    /// The tenant.
    pub tenant: TenantId,
    /// The operation, such as "create-transaction": ids of different operations do not meet.
    pub operation: String,
    /// The id that the caller chose.
    pub request_id: String,
    /// The keyed hash of what is asked for.
    pub hash: Vec<u8>,
    /// Who asks.
    pub principal: String,
    /// The trace of the call.
    pub trace_id: String,
    /// When.
    pub time: Timestamp,
}

/// A hash of a decoded request, under a key of the tenant: amounts and names have too few values
/// for an open hash to hide them. "12.5" and "12.50" are one request, because they decode to one.
pub fn hash(key: &TenantKey, request: &impl Serialize) -> Vec<u8> {
    struct Writer(hmac::Context);
    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer(hmac::Context::with_key(key.request_hash()));
    // Decoded requests are plain data with string keys, which always serialise.
    serde_json::to_writer(&mut writer, request).unwrap_or_default();
    let mut hash = vec![HASH_VERSION];
    hash.extend_from_slice(writer.0.sign().as_ref());
    hash
}

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// The id is new, and claimed.
    New,
    /// The write was begun before, and whoever worked on it is gone: go on with this resource.
    Resumed(String),
    /// The write happened before; it made this resource.
    Replayed(String),
}

/// How a write under a request id ended.
#[derive(Debug)]
pub enum Once<T> {
    /// It happened now.
    Done(T),
    /// It happened before, and made this resource.
    Replayed(String),
}

/// Claims an id for a write that is complete in this transaction. It is stored as succeeded, which
/// nobody sees before the commit; so success costs one row and no update.
pub fn claim<E: From<DbError> + From<Problem>>(
    conn: &mut PgConnection,
    request: &Request,
    resource: &str,
) -> Result<Claim, E> {
    claim_as(conn, request, resource, OutcomeState::Succeeded, None)
}

/// Claims an id for a write that goes on in other services, for as long as the lease. Once a lease
/// has passed, the next repeat takes the work over.
pub fn begin<E: From<DbError> + From<Problem>>(
    conn: &mut PgConnection,
    request: &Request,
    resource: &str,
    lease: Duration,
) -> Result<Claim, E> {
    let micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
    let until = Timestamp::from_micros(request.time.micros().saturating_add(micros));
    claim_as(conn, request, resource, OutcomeState::InProgress, Some(until))
}

fn claim_as<E: From<DbError> + From<Problem>>(
    conn: &mut PgConnection,
    request: &Request,
    resource: &str,
    state: OutcomeState,
    lease: Option<Timestamp>,
) -> Result<Claim, E> {
    if store::insert(conn, request, resource, state, lease).map_err(DbError::from)? {
        return Ok(Claim::New);
    }
    existing(conn, request, lease)?.map_err(E::from)
}

/// What a claim means whose id another transaction has, and has committed: inserting waited for it.
fn existing(
    conn: &mut PgConnection,
    request: &Request,
    lease: Option<Timestamp>,
) -> Result<Result<Claim, Problem>, DbError> {
    let claim = store::select_for_claim(conn, request)?.answer(request);
    if let Ok(Claim::Resumed(_)) = claim {
        store::renew(conn, request, lease)?;
    }
    Ok(claim)
}

impl Found {
    /// What this outcome means for another request with its id.
    pub fn answer(&self, request: &Request) -> Result<Claim, Problem> {
        if self.hash != request.hash {
            return Err(reused(&request.operation));
        }
        let resource = || self.outcome.resource.clone();
        match self.outcome.state {
            OutcomeState::Succeeded => Ok(Claim::Replayed(resource())),
            OutcomeState::Rejected => Err(self.outcome.rejection()),
            OutcomeState::Unknown => Err(reused(&request.operation)),
            OutcomeState::InProgress if self.lease.is_none_or(|until| until <= request.time) => {
                Ok(Claim::Resumed(resource()))
            }
            OutcomeState::InProgress => Err(in_progress()),
        }
    }
}

/// What a batch decided about one request: what it made, or a decision of business.
#[derive(Debug, Clone)]
pub struct Settled<'a> {
    /// The request.
    pub request: &'a Request,
    /// The resource, or the refusal.
    pub result: Result<String, Problem>,
}

/// Settles a claim that was begun: the write is done.
pub fn succeed(
    conn: &mut PgConnection,
    tenant: TenantId,
    operation: &str,
    request_id: &str,
    time: Timestamp,
) -> diesel::QueryResult<()> {
    store::succeed(conn, tenant, operation, request_id, time)
}

/// Gives the lease back, so that the next repeat need not wait for its end.
pub fn release(conn: &mut PgConnection, request: &Request) -> diesel::QueryResult<()> {
    store::renew(conn, request, Some(request.time))
}

/// Runs a write that is complete in one transaction, once for its request id. A decision of
/// business that `act` makes is frozen; every other error leaves the id free.
pub async fn once<T, E, F>(
    db: &Db,
    name: &'static str,
    scope: Scope,
    request: Option<Request>,
    resource: String,
    act: F,
) -> Result<Once<T>, Problem>
where
    T: Send + 'static,
    E: UnitError + From<Problem> + Into<Problem>,
    F: Fn(&mut PgConnection) -> Result<T, E> + Send + Sync + 'static,
{
    let claimed = request.clone();
    let written = db.write(name, scope, move |conn| {
        if let Some(request) = &claimed
            && let Claim::Replayed(resource) | Claim::Resumed(resource) =
                claim::<E>(conn, request, &resource)?
        {
            return Ok(Once::Replayed(resource));
        }
        act(conn).map(Once::Done)
    });
    let problem: Problem = match written.await {
        Ok(once) => return Ok(once),
        Err(error) => E::into(error),
    };
    match request {
        Some(request) if problem.is_frozen() => freeze(db, scope, request, problem).await,
        _ => Err(problem),
    }
}

/// Stores a decision of business, in a transaction of its own: that of the write is rolled back.
/// Where the id has an outcome by now, that one holds.
async fn freeze<T>(
    db: &Db,
    scope: Scope,
    request: Request,
    problem: Problem,
) -> Result<Once<T>, Problem> {
    let stored = problem.clone();
    let earlier = db.write("freeze_outcome", scope, move |conn| {
        if store::insert_rejected(conn, &request, &stored)? {
            return Ok(None);
        }
        Ok::<_, DbError>(Some(existing(conn, &request, None)?))
    });
    match earlier.await? {
        None => Err(problem),
        Some(Ok(Claim::New)) => Err(in_progress()),
        Some(Ok(Claim::Resumed(resource) | Claim::Replayed(resource))) => {
            Ok(Once::Replayed(resource))
        }
        Some(Err(earlier)) => Err(earlier),
    }
}

/// `REQUEST_ID_REUSED` for an operation.
pub fn reused(operation: &str) -> Problem {
    let message = "The request_id was used for another request.";
    Problem::new(Reason::RequestIdReused, message).figure("operation", operation)
}

fn in_progress() -> Problem {
    let message = "The first request with this request_id is still running.";
    Problem::new(Reason::RequestInProgress, message).retry_after(Duration::from_millis(200))
}
