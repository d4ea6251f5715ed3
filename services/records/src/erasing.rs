//! Carries erasures out, step by step, each a transaction of its own:
//!
//! 1. *Shred*: under the subject's lock, if nothing blocks it, the subject's keys are destroyed.
//!    Whoever writes for a subject holds its row, so nothing new appears after that, and nothing
//!    that is there opens any more.
//! 2. *Tombstone*: that it happened is written outside the database, before anybody hears that it
//!    is done. A tombstone is only ever of a key that is destroyed: an erasure that a hold has
//!    stopped in time leaves none, and a restored database is erased again whatever it says of
//!    holds that were released since.
//! 3. *Wipe*: bodies, indexes, labels, uploads and texts go, in batches.
//! 4. *Done*, with the figures of the certificate in the leaf that says so.
//!
//! A step that a crash cuts off has not happened. The next look goes on from the row.

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::db::Scope;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;

use crate::domain::access::{Access, Action};
use crate::domain::erasure::{Destroyed, Erasure, ErasureName, ErasureState};
use crate::domain::record::RecordId;
use crate::domain::retention::Blocker;
use crate::domain::subject::{Subject, SubjectState};
use crate::error::Error;
use crate::rpc::{Rpc, erasures as shown};
use crate::store::events::{self, Event};
use crate::store::{accesses, break_glass_leases, erasures, legal_holds, subjects, uploads};
use crate::tombstones;

/// Erasures of one look.
const BATCH: i64 = 10;
/// Uploads of one transaction.
const UPLOADS: i64 = 100;
/// How long one transaction may take, and the tombstone.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Before the next look at one that could not be carried out.
const RETRY: Duration = Duration::from_secs(5);
/// Before the next look at one that is blocked, unless somebody unblocks it.
const BLOCKED: Duration = Duration::from_secs(60 * 60);

/// Carries out what is due of a tenant. True where there is more.
pub(crate) async fn step(rpc: &Rpc, tenant: &Arc<TenantInfo>) -> Result<bool, Problem> {
    let (id, now) = (tenant.id, rpc.clock.now());
    let scope = worker(tenant).scope();
    let find = move |conn: &mut PgConnection| Ok::<_, Error>(erasures::due(conn, id, now, BATCH)?);
    let due = rpc.db.read("find_erasures", scope, find).await?;
    for name in &due {
        if let Err(error) = carry_out(rpc, tenant, *name).await {
            let problem = Problem::from(error);
            tracing::warn!(%problem, erasure = %name.id, "cannot carry out an erasure");
            postpone(rpc, scope, id, *name).await?;
        }
    }
    if !due.is_empty() {
        rpc.nudge.tenant(id);
    }
    Ok(i64::try_from(due.len()) == Ok(BATCH))
}

/// The call of the worker, in the service's own name.
pub(crate) fn worker(tenant: &Arc<TenantInfo>) -> Call {
    Call::of_worker("sweeper", Arc::clone(tenant), TIMEOUT)
}

async fn carry_out(rpc: &Rpc, tenant: &Arc<TenantInfo>, name: ErasureName) -> Result<(), Error> {
    let Some(erasure) = shred(rpc, tenant, name).await? else { return Ok(()) };
    tombstones::put(rpc, tenant.id, &erasure).await?;
    wipe(rpc, tenant, name).await?;
    finish(rpc, tenant, name).await
}

/// The erasure whose keys are destroyed; none where it has to wait, or has ended.
async fn shred(
    rpc: &Rpc,
    tenant: &Arc<TenantInfo>,
    name: ErasureName,
) -> Result<Option<Erasure>, Error> {
    let (call, id, now) = (worker(tenant), tenant.id, rpc.clock.now());
    let access = entry(rpc, &call, name);
    let act = move |conn: &mut PgConnection| {
        let subject = subjects::lock(conn, id, name.subject)?;
        let erasure = erasures::lock(conn, id, name)?;
        let Some((subject, mut erasure)) = subject.zip(erasure) else { return Ok(None) };
        if erasure.state == ErasureState::Running {
            return Ok(Some(erasure));
        }
        if !erasure.state.is_pending() {
            return Ok(None);
        }
        let blockers = shown::blockers(conn, id, name.subject, now)?;
        if erasure.due_time > now || !blockers.is_empty() {
            wait(conn, id, &mut erasure, &blockers, now)?;
            return Ok(None);
        }
        destroy(conn, id, &subject, &mut erasure, now)?;
        erasures::update(conn, id, &erasure)?;
        accesses::insert(conn, id, &access)?;
        events::record(conn, id, &erased(id, "subject.erased", &erasure, now))?;
        Ok::<_, Error>(Some(erasure))
    };
    rpc.db.write("shred_subject", call.scope(), act).await
}

/// An entry of the log for what the worker does.
pub(crate) fn entry(rpc: &Rpc, call: &Call, name: ErasureName) -> Access {
    let mut access = rpc.access(call, Action::ERASE_SUBJECT);
    (access.subject, access.resource) = (Some(name.subject), Some(name.name()));
    access
}

/// Writes down until when an erasure waits, and whether something blocks it.
fn wait(
    conn: &mut PgConnection,
    tenant: TenantId,
    erasure: &mut Erasure,
    blockers: &[Blocker],
    now: Timestamp,
) -> Result<(), Error> {
    let later = now.plus(BLOCKED);
    let (state, next_time) = match blockers {
        [] => (ErasureState::Requested, erasure.due_time),
        // The last one decides; whoever ends one without an end tells the worker.
        blockers => {
            let end = blockers.iter().map(|one| one.end_time.unwrap_or(later)).max();
            (ErasureState::Blocked, end.unwrap_or(later).min(later).max(erasure.due_time))
        }
    };
    erasure.next_time = next_time;
    if erasure.state != state {
        erasure.state = state;
        erasure.revision += 1;
        let kind = match state {
            ErasureState::Blocked => "erasure.blocked",
            _ => "erasure.unblocked",
        };
        let event = Event::new(tenant, kind, erasure.name.name(), now);
        events::record(conn, tenant, &event.with("subject", erasure.name.subject.name()))?;
    }
    Ok(erasures::update(conn, tenant, erasure)?)
}

/// Destroys the keys of a subject, which the caller has locked. From here on it is erased.
pub(crate) fn destroy(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: &Subject,
    erasure: &mut Erasure,
    now: Timestamp,
) -> Result<(), Error> {
    let uploads = erasures::open_uploads(conn, tenant, subject.id)?;
    let (keys, wrapped) = erasures::shred(conn, tenant, subject.id)?;
    let oldest = erasures::first_epoch(conn, tenant, subject.create_time)?;
    let all = [erasure.epochs, wrapped, oldest.map(|epoch| (epoch, epoch))];
    let first = all.iter().flatten().map(|(first, _)| *first).min();
    let last = all.iter().flatten().map(|(_, last)| *last).max();
    subjects::set_state(conn, tenant, subject.id, SubjectState::Erased)?;
    erasure.state = ErasureState::Running;
    erasure.shred_time = Some(erasure.shred_time.unwrap_or(now));
    erasure.next_time = now;
    erasure.epochs = first.zip(last);
    erasure.destroyed.keys += keys;
    erasure.destroyed.uploads += uploads;
    erasure.revision += 1;
    Ok(())
}

/// The event of destroyed keys.
pub(crate) fn erased(
    tenant: TenantId,
    kind: &'static str,
    erasure: &Erasure,
    now: Timestamp,
) -> Event {
    Event::new(tenant, kind, erasure.name.subject.name(), now)
        .with("erasure", erasure.name.name())
        .with("legalBasis", erasure.legal_basis.name())
        .with("keys", erasure.destroyed.keys)
}

/// Removes all that is left of a subject whose keys are destroyed.
async fn wipe(rpc: &Rpc, tenant: &Arc<TenantInfo>, name: ErasureName) -> Result<(), Error> {
    let (id, mut after) = (tenant.id, None::<RecordId>);
    loop {
        let (from, now) = (after, rpc.clock.now());
        let act = move |conn: &mut PgConnection| {
            subjects::lock(conn, id, name.subject)?;
            let wiped = erasures::wipe_records(conn, id, name.subject, from, now)?;
            if wiped.destroyed != Destroyed::default()
                && let Some(mut erasure) = erasures::lock(conn, id, name)?
            {
                erasure.destroyed = erasure.destroyed.plus(wiped.destroyed);
                erasures::update(conn, id, &erasure)?;
            }
            Ok::<_, Error>(wiped.next)
        };
        after = rpc.db.write("wipe_records", worker(tenant).scope(), act).await?;
        if after.is_none() {
            break;
        }
    }
    loop {
        let now = rpc.clock.now();
        let act = move |conn: &mut PgConnection| {
            subjects::lock(conn, id, name.subject)?;
            legal_holds::clear_texts(conn, id, name.subject)?;
            break_glass_leases::clear_texts(conn, id, name.subject)?;
            let removed = uploads::remove_of_subject(conn, id, name.subject, now, UPLOADS)?;
            Ok::<_, Error>(i64::try_from(removed) == Ok(UPLOADS))
        };
        if !rpc.db.write("wipe_uploads", worker(tenant).scope(), act).await? {
            return Ok(());
        }
    }
}

/// Says that it is done. The leaf has all that the certificate says.
async fn finish(rpc: &Rpc, tenant: &Arc<TenantInfo>, name: ErasureName) -> Result<(), Error> {
    let (id, now) = (tenant.id, rpc.clock.now());
    let act = move |conn: &mut PgConnection| {
        let Some(mut erasure) = erasures::lock(conn, id, name)? else { return Ok(()) };
        if erasure.state != ErasureState::Running {
            return Ok(());
        }
        // After every other event of it, so that this one is found by its time.
        let now = erasure.shred_time.map_or(now, |shredded| now.max(shredded.next()));
        erasure.state = ErasureState::Done;
        erasure.done_time = Some(now);
        erasure.revision += 1;
        erasures::update(conn, id, &erasure)?;
        events::record(conn, id, &done(id, &erasure, now))?;
        Ok::<_, Error>(())
    };
    rpc.db.write("finish_erasure", worker(tenant).scope(), act).await
}

fn done(tenant: TenantId, erasure: &Erasure, now: Timestamp) -> Event {
    let of = erasure.destroyed;
    let (first, last) = erasure.epochs.unwrap_or_default();
    let shred_time = erasure.shred_time.unwrap_or(now);
    Event::new(tenant, "erasure.done", erasure.name.name(), now)
        .with("subject", erasure.name.subject.name())
        .with("legalBasis", erasure.legal_basis.name())
        .with("requestTime", erasure.create_time.to_string())
        .with("keyDestroyTime", shred_time.to_string())
        .with("keys", of.keys)
        .with("records", of.records)
        .with("versions", of.versions)
        .with("indexRows", of.index_rows)
        .with("objects", of.objects)
        .with("uploads", of.uploads)
        .with("firstEpoch", first)
        .with("lastEpoch", last)
}

async fn postpone(
    rpc: &Rpc,
    scope: Scope,
    tenant: TenantId,
    name: ErasureName,
) -> Result<(), Problem> {
    let next_time = rpc.clock.now().plus(RETRY);
    let act = move |conn: &mut PgConnection| {
        if let Some(erasure) = erasures::lock(conn, tenant, name)? {
            erasures::update(conn, tenant, &Erasure { next_time, ..erasure })?;
        }
        Ok::<_, Error>(())
    };
    Ok(rpc.db.write("postpone_erasure", scope, act).await?)
}
