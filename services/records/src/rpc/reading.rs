//! Reads of content: decided and logged in the lane, opened by the caller's task after that.

mod index;

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::changes;
use shared::db::{self, DbError};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::lane::Priority;
use shared::principal::{Scope, missing};
use shared::problem::{Problem, Reason};
use zeroize::Zeroizing;

use super::{Rpc, offload};
use crate::domain::access::{Access, AccessId, Action};
use crate::domain::json;
use crate::domain::purpose::Purpose;
use crate::domain::reading::{Reading, not_granted};
use crate::domain::record::{Record, RecordId, RecordState, View};
use crate::domain::record_type::CompiledType;
use crate::domain::subject::SubjectState;
use crate::engine::{self, Done, Job, Read, Seen, Target};
use crate::error::Error;
use crate::seal::SealBroken;
use crate::store::key_chains::{self, KeyChain};
use crate::store::record_index::IndexRow;
use crate::store::records::{self, Sealed};
use crate::vault;

/// How long it may take at least to log that something was withheld.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// What a caller needs beside `records.records.get` to see content as it is.
const FULL_PERMISSION: &str = "records.records.getFull";

/// What is to be read, how much of it, and what for.
pub(super) struct Ask {
    /// The records, each with its version; 0 is the last.
    pub(super) targets: Vec<(RecordId, i64)>,
    /// How much of them.
    pub(super) view: View,
    /// The code of the purpose, as it came.
    pub(super) purpose: String,
    /// What is done.
    pub(super) action: Action,
}

/// A record that may be read, and of which is logged that it was.
pub(super) struct Granted {
    /// The record, as of the version that was wanted.
    pub(super) record: Record,
    /// The sealed content, where the view gives content. A body that is not tiny is not in it:
    /// see `sealed`.
    pub(super) sealed: Option<Sealed>,
    /// The chain to the key of its subject, where the view gives content.
    pub(super) chain: Option<KeyChain>,
    /// Its type; none where nobody has declared it.
    pub(super) kind: Option<Arc<CompiledType>>,
    index: Vec<IndexRow>,
    access: Access,
    tenant: TenantId,
    deadline: Deadline,
}

/// Decides every target and appends the entries. Gives all of them in their order, or the first
/// refusal: then nothing was given, and that is what the entries say.
pub(super) async fn read(rpc: &Rpc, call: &Call, ask: Ask) -> Result<Vec<Granted>, Problem> {
    decide(rpc, call, ask, false).await
}

/// Like `read`, for contents that go into one answer: what does not fit is refused.
pub(super) async fn read_for_answer(
    rpc: &Rpc,
    call: &Call,
    ask: Ask,
) -> Result<Vec<Granted>, Problem> {
    decide(rpc, call, ask, true).await
}

async fn decide(
    rpc: &Rpc,
    call: &Call,
    ask: Ask,
    is_one_answer: bool,
) -> Result<Vec<Granted>, Problem> {
    let (tenant, deadline) = (call.tenant_id()?, call.deadline);
    let asked = Purpose::parse(&ask.purpose);
    let purpose = asked.as_ref().ok().copied();
    let reading = Reading {
        action: ask.action,
        view: ask.view,
        principal: call.principal.subject.clone(),
        purpose: asked.and_then(|purpose| may_use(call, purpose)),
        full: may_see_all(call, ask.action),
        is_one_answer,
    };
    let target = |(id, version)| {
        let mut access = rpc.access(call, ask.action);
        (access.record, access.view, access.purpose) = (Some(id), Some(ask.view), purpose);
        Target { id, version, access }
    };
    let targets: Vec<Target> = ask.targets.into_iter().map(target).collect();
    let Some(first) = targets.first().map(|target| target.id) else {
        return Ok(Vec::new());
    };
    let ask_lane = engine::Ask::Read(Arc::new(Read { reading, targets }));
    let lane = rpc.lanes.of(first.uuid());
    let job = Job { tenant, ask: ask_lane };
    let Done::Seen(seen) = lane.submit(job, deadline, Priority::Normal).await?? else {
        return Err(Problem::internal());
    };
    let mut granted = Vec::with_capacity(seen.len());
    for Seen { record, sealed, chain, index, access } in seen {
        let kind = match ask.view {
            View::Basic => None,
            _ => rpc.types.get(&rpc.db, call.scope(), tenant, &record.kind).await?,
        };
        granted.push(Granted { record, sealed, chain, kind, index, access, tenant, deadline });
    }
    Ok(granted)
}

/// A purpose that the caller's grants hold.
pub(super) fn may_use(call: &Call, purpose: Purpose) -> Result<Purpose, Problem> {
    match call.principal.grants.scope(&format!("records.purposes.{}", purpose.code())) {
        Some(Scope::Tenant) => Ok(purpose),
        _ => Err(not_granted(purpose)),
    }
}

/// What is done with content that is not shown has a permission of its own.
fn may_see_all(call: &Call, action: Action) -> Result<(), Problem> {
    if action != Action::GET_RECORD {
        return Ok(());
    }
    match call.principal.require(FULL_PERMISSION)? {
        Scope::Tenant => Ok(()),
        Scope::Own => Err(missing(FULL_PERMISSION)),
    }
}

/// The sealed content with its body, unless that lies in segments outside, and the chain to its
/// key. A failure is logged.
pub(super) async fn sealed(rpc: &Rpc, granted: &Granted) -> Result<(Sealed, KeyChain), Error> {
    let sealed = find_sealed(rpc, granted).await;
    logged(rpc, granted, sealed).await
}

/// Opens a body that does not lie in segments outside. A failure is logged: nothing was given.
pub(super) async fn open(rpc: &Rpc, granted: &Granted) -> Result<Zeroizing<Vec<u8>>, Error> {
    let opened = open_unlogged(rpc, granted).await;
    logged(rpc, granted, opened).await
}

/// Opens bodies and gives what the view shows of them: all or none. A failure is logged.
pub(super) async fn show(
    rpc: &Rpc,
    granted: &[Granted],
    view: View,
) -> Result<Vec<Vec<u8>>, Problem> {
    let mut contents = Vec::with_capacity(granted.len());
    for one in granted {
        match show_one(rpc, one, view).await {
            Ok(content) => contents.push(content),
            Err(error) => {
                let problem = Problem::from(error);
                for one in granted {
                    withhold(rpc, one, problem.reason).await;
                }
                return Err(problem);
            }
        }
    }
    Ok(contents)
}

async fn show_one(rpc: &Rpc, granted: &Granted, view: View) -> Result<Vec<u8>, Error> {
    if granted.sealed.is_none() {
        return Ok(Vec::new());
    }
    let content = open_unlogged(rpc, granted).await?;
    let mut content = index::verify(rpc, granted, content).await?;
    if view == View::Full {
        return Ok(std::mem::take(&mut *content));
    }
    let kind = granted.kind.clone();
    let mask = move || match kind {
        Some(kind) => kind.masks().apply(&content),
        None => json::mask(&content),
    };
    let masked = offload(usize::try_from(granted.record.size).unwrap_or(usize::MAX), mask).await?;
    // What was sealed as JSON is JSON, or it is not what was sealed.
    Ok(masked.map_err(|_| SealBroken)?)
}

/// Logs that what was granted was not given after all. Where that cannot be logged, it is told to
/// whoever runs the service: nothing has left.
pub(super) async fn withhold(rpc: &Rpc, granted: &Granted, reason: Reason) {
    let time = rpc.clock.now();
    let access = Access {
        id: AccessId::from_uuid(changes::id(time)),
        time,
        refusal: Some(reason),
        grounds: None,
        ..granted.access.clone()
    };
    let ask = engine::Ask::Log(Arc::new([access]));
    let lane = rpc.lanes.of(granted.record.id.uuid());
    let job = Job { tenant: granted.tenant, ask };
    // A stream outlives the deadline by which it began.
    let deadline = granted.deadline.max(Deadline::after(LOG_TIMEOUT));
    let logged = lane.submit(job, deadline, Priority::Normal).await;
    if let Err(problem) | Ok(Err(problem)) = logged {
        tracing::error!(%problem, "it is not in the access log that content was withheld");
    }
}

async fn logged<T>(rpc: &Rpc, granted: &Granted, result: Result<T, Error>) -> Result<T, Error> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => {
            let problem = Problem::from(error);
            withhold(rpc, granted, problem.reason).await;
            Err(problem.into())
        }
    }
}

async fn open_unlogged(rpc: &Rpc, granted: &Granted) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (sealed, chain) = find_sealed(rpc, granted).await?;
    let key = rpc.vault.subject_key(&chain).await?;
    let (record, size) = (granted.record.clone(), sealed.body.as_ref().map_or(0, Vec::len));
    offload(size, move || vault::open(&key, &record, &sealed)).await?
}

/// Reads a large body, with the keys that it is under now: it may have been sealed anew since.
async fn find_sealed(rpc: &Rpc, granted: &Granted) -> Result<(Sealed, KeyChain), Error> {
    let sealed = granted.sealed.as_ref().ok_or(SealBroken)?;
    if sealed.body.is_some() || sealed.segments.is_some() {
        return Ok((sealed.clone(), granted.chain.clone().ok_or(SealBroken)?));
    }
    let (tenant, record) = (granted.tenant, granted.record.clone());
    let scope = db::Scope::tenant(tenant, granted.deadline);
    let read = move |conn: &mut PgConnection| {
        let found = records::select_sealed(conn, tenant, record.id, record.version)?;
        let sealed = found.ok_or(SealBroken)?;
        let generation = Some(sealed.subject_key_generation);
        let chain = key_chains::key_chain(conn, tenant, record.subject, generation)?;
        match chain {
            Some(chain) if sealed.data_key.is_some() => Ok((sealed, chain)),
            _ => Err(gone(records::select(conn, tenant, record.id)?)),
        }
    };
    rpc.db.read("get_sealed", scope, read).await
}

/// Why what was there a moment ago does not open: it was destroyed since, or it was changed.
fn gone(found: Option<(Record, SubjectState)>) -> Error {
    match found {
        Some((record, state))
            if record.state == RecordState::Purged || state == SubjectState::Erased =>
        {
            Problem::from(DbError::Contention).into()
        }
        _ => SealBroken.into(),
    }
}
