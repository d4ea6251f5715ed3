//! Rotation of keys, in the background and online: everybody reads and writes meanwhile.
//!
//! `RotateKey` makes the new key and names it the current one; from that commit on nothing new
//! comes under the old one. What is below the old one is moved in steps. A step reads, works on
//! keys outside of any transaction, and writes what it made together with how far the rotation has
//! come. It writes only over what still is as it was read, and only if the rotation still stands
//! where it stood. So a step that is killed has not happened, two replicas at the same step do it
//! once, and the next step goes on from the row, wherever it runs.
//!
//! Who meets a rotation, and why nothing is lost:
//!
//! - *A subject or an index key is made under an epoch that ends meanwhile.* Its insert keeps the
//!   epoch's row `FOR SHARE` and looks whether it has ended ([`keep_current`]); `RotateKey`
//!   ends the epoch by an update of that row, which waits for such inserts. Those before are seen
//!   by the steps, those after are refused and made again under the new epoch. So the keys under an
//!   old epoch only become fewer, and one pass over them moves all.
//! - *A subject is erased while its key is moved or its bodies are sealed anew.* Moves and swaps
//!   are updates of rows that still have the wrapped key that was read: a row whose key is gone
//!   gets no other. New generations are made under the subject's lock and never for an erased one.
//! - *A record is written under a generation that is replaced meanwhile.* A generation is deleted
//!   under the subject's lock, once no version names it. Writers keep the subject `FOR SHARE`, and
//!   either read its keys after that, or look whether the generation that they used is still there
//!   ([`has_generation`]): what they wrote before is seen here, and after it they use another.
//!   An upload of an older generation is not finished: it begins anew.
//! - *A reader* takes the version, the subject's key and the tenant's from one snapshot, in which
//!   they fit. All of them open what they wrapped for as long as the reader has them in memory.
//!   Segments that were replaced stay in the object store for as long as a download may take.
//! - *An index row is written with a key version that is taken away meanwhile.* Rows
//!   reference their key version. Before a version is deleted it is locked and its rows are
//!   counted, so that a writer either is before, and is seen, or finds no key, and makes its rows
//!   again. Old rows of a record go in the transaction that writes its new ones, and readers look
//!   under all versions that there are.
//! - *The key provider is away.* The step fails as a whole, and is tried again.
//! - *Something does not open.* It stays where it is, under its old key, and is named in `broken`.
//!
//! Locks are taken in the order subject, record, the rest; the rotation's own row comes last and is
//! waited for by nobody but other steps.
//!
//! [`keep_current`]: crate::store::keys::keep_current
//! [`has_generation`]: crate::store::keys::has_generation

mod index_key;
mod job;
mod kek;
mod reseal;
mod start;
mod tenant_key;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::PgConnection;
use opentelemetry::global;
use opentelemetry::metrics::Gauge;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;

use crate::domain::rotation::{KeyScope, Rotation};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::rotations;
use job::Job;

pub(crate) use kek::{epoch_name, kek};
pub(crate) use start::{begin, prepare};

/// Takes a step of every rotation of a tenant that runs, and says whether more can be done at once.
/// A rotation that fails does not hold up the others.
pub(crate) async fn step(rpc: &Rpc, tenant: &Arc<TenantInfo>) -> Result<bool, Problem> {
    let id = tenant.id;
    let read = move |conn: &mut PgConnection| Ok::<_, Error>(rotations::running(conn, id)?);
    let running = rpc.db.read("get_rotations", job::scope(id), read).await?;
    rpc.lag.set(id, running.iter().map(Rotation::lag).sum());
    let (mut more, mut failed) = (false, None);
    for rotation in running {
        let job = Job { rpc, tenant: id, rotation };
        let taken = match job.rotation.scope {
            KeyScope::Kek => kek::step(&job).await,
            KeyScope::TenantKey => tenant_key::step(&job).await,
            KeyScope::IndexKey => index_key::step(&job).await,
        };
        match taken {
            Ok(taken) => more |= taken,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(more), |error| Err(error.into()))
}

/// How much is still below old keys, in all tenants, as of the last looks at them.
#[derive(Clone)]
pub(crate) struct Lag {
    gauge: Gauge<i64>,
    tenants: Arc<Mutex<BTreeMap<TenantId, i64>>>,
}

impl Lag {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        let gauge = global::meter("strongroom")
            .i64_gauge("strongroom.rotation.lag")
            .with_description("Keys and records that rotations have yet to move, in all tenants")
            .build();
        Self { gauge, tenants: Arc::default() }
    }

    fn set(&self, tenant: TenantId, lag: i64) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        match lag {
            0 => tenants.remove(&tenant),
            lag => tenants.insert(tenant, lag),
        };
        self.gauge.record(tenants.values().sum(), &[]);
    }
}
