//! The record types that calls need, compiled: as they were at most two seconds ago, so that
//! replicas agree after as long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use shared::db::{Db, Scope};
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::task;

use crate::domain::record_type::{CompiledType, RecordType};
use crate::error::Error;
use crate::store::record_types;

/// How long a change of a type may take to be seen.
const TTL: Duration = Duration::from_secs(2);
/// The most types that are kept; the one that was read the longest ago leaves first.
const CACHED_MAX: usize = 1_024;

/// Compiled types by tenant and id. That a type is not declared is kept too.
#[derive(Clone, Default)]
pub(crate) struct Types {
    seen: Arc<Mutex<HashMap<Key, Seen>>>,
    /// Held while a type is compiled, so that callers at once compile it once.
    compiling: Arc<tokio::sync::Mutex<()>>,
}

type Key = (TenantId, String);
type Found = Option<Arc<CompiledType>>;

#[derive(Clone)]
struct Seen {
    since: Instant,
    found: Found,
}

impl Types {
    /// A type; none where nobody has declared it.
    pub(crate) async fn get(
        &self,
        db: &Db,
        scope: Scope,
        tenant: TenantId,
        kind: &str,
    ) -> Result<Found, Problem> {
        let key = (tenant, kind.to_owned());
        let old = match self.look(&key) {
            Look::Fresh(found) => return Ok(found),
            Look::Old(found) => found,
            Look::Nothing => None,
        };
        let kind = kind.to_owned();
        let read = move |conn: &mut PgConnection| {
            Ok::<_, Error>(record_types::revision(conn, tenant, &kind)?)
        };
        let revision = db.read("get_record_type_revision", scope, read).await?;
        let found = match (revision, old) {
            (None, _) => None,
            (Some(now), Some(old)) if old.revision() == now => Some(old),
            (Some(now), _) => return self.compile(db, scope, key, now).await,
        };
        self.keep(key, found.clone());
        Ok(found)
    }

    /// Forgets a type that has changed.
    pub(crate) fn forget(&self, tenant: TenantId, kind: &str) {
        self.seen().remove(&(tenant, kind.to_owned()));
    }

    /// Where it is no longer fresh, the first who asks looks, and others go on with what is known
    /// meanwhile.
    fn look(&self, key: &Key) -> Look {
        match self.seen().get_mut(key) {
            None => Look::Nothing,
            Some(seen) if seen.since.elapsed() < TTL => Look::Fresh(seen.found.clone()),
            Some(seen) => {
                seen.since = Instant::now();
                Look::Old(seen.found.clone())
            }
        }
    }

    async fn compile(
        &self,
        db: &Db,
        scope: Scope,
        key: Key,
        revision: i64,
    ) -> Result<Found, Problem> {
        let _compiling = self.compiling.lock().await;
        let seen = self.seen().get(&key).and_then(|seen| seen.found.clone());
        if let Some(found) = seen.filter(|found| found.revision() >= revision) {
            return Ok(Some(found));
        }
        let (tenant, kind) = key.clone();
        let read = move |conn: &mut PgConnection| {
            Ok::<_, Error>(record_types::select(conn, tenant, &kind)?)
        };
        let found = match db.read("get_record_type", scope, read).await? {
            Some(kind) => Some(Arc::new(compile(kind).await?)),
            None => None,
        };
        self.keep(key, found.clone());
        Ok(found)
    }

    fn keep(&self, key: Key, found: Found) {
        let mut seen = self.seen();
        if seen.len() >= CACHED_MAX && !seen.contains_key(&key) {
            let oldest = seen.iter().min_by_key(|(_, seen)| seen.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                seen.remove(&oldest);
            }
        }
        seen.insert(key, Seen { since: Instant::now(), found });
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Fresh(Found),
    Old(Found),
    Nothing,
}

/// Compiles a type that was accepted before.
async fn compile(kind: RecordType) -> Result<CompiledType, Problem> {
    check(kind).await?.1.map_err(|problem| {
        tracing::error!(%problem, "a record type that was accepted before is not any more");
        Problem::internal()
    })
}

/// Compiles what is declared, where it does not hold up other calls.
pub(super) async fn check(
    kind: RecordType,
) -> Result<(RecordType, Result<CompiledType, Problem>), Problem> {
    let compiled = task::blocking(move || {
        let compiled = kind.compile().map_err(Problem::from);
        (kind, compiled)
    });
    compiled.await.map_err(|error| {
        tracing::error!(panicked = error.is_panic(), "a record type was not compiled");
        Problem::internal()
    })
}
