//! What the RPCs of the access log have in common: each entry is compared with what the log has of
//! it before it leaves, and whoever asks is in the log too.

use std::collections::HashMap;

use diesel::PgConnection;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::page::{Found, Page};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use shared::transparency::{Entered, Hash, TlogProof, entered, prove};
use strongroom_proto::records::v1 as wire;

use super::Rpc;
use crate::domain::access::{Access, AccessId};
use crate::domain::access_entry::AccessEntry;
use crate::domain::record::View;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::access_lists::{self, Filter, Place, Row};
use crate::store::accesses;

/// The most entries of a page whose entries come with their proofs.
const PROVEN_MAX: usize = 100;
/// About how many bytes a proof has.
const PROOF_BYTES: usize = 2_048;

/// Which entries a list is of.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) filter: Filter,
    pub(super) page: Page<Place>,
    pub(super) proofs: bool,
}

/// Reads a page of entries and its `next_page_token`.
pub(super) async fn list(
    rpc: &Rpc,
    call: &Call,
    unit: &'static str,
    list: List,
) -> Result<(Vec<wire::AccessEntry>, String), Error> {
    let List { filter, mut page, proofs } = list;
    let (tenant, bytes_max) = (call.tenant_id()?, rpc.message_bytes_max);
    if proofs {
        page.size = page.size.min(PROVEN_MAX);
    }
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&Place>, limit| {
            access_lists::candidates(conn, tenant, &filter, after, limit)
        };
        let found = Found::among(&page, candidates, Row::place, |row| row.is_kept(&filter))?;
        let proof_bytes = if proofs { PROOF_BYTES } else { 0 };
        let bytes = |row: &Row| row.bytes() + proof_bytes;
        page.load(found, bytes_max, Row::place, bytes, |some| load(conn, tenant, some, proofs))
    };
    rpc.db.read(unit, call.scope(), read).await
}

/// Entries of these ids, in their order.
pub(super) fn load_ids(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccessId],
) -> Result<Vec<wire::AccessEntry>, Error> {
    let uuids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = access_lists::select_all(conn, tenant, &uuids)?;
    let mut rows: HashMap<AccessId, Row> = rows.into_iter().map(|row| (row.id(), row)).collect();
    let row = |id: &AccessId| rows.remove(id).ok_or_else(|| broken(*id));
    let rows = ids.iter().map(row).collect::<Result<Vec<Row>, Problem>>()?;
    load(conn, tenant, &rows, false)
}

/// Entries as they were logged, or the refusal of all of them.
fn load(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: &[Row],
    proofs: bool,
) -> Result<Vec<wire::AccessEntry>, Error> {
    let entry = |row: &Row| row.clone().entry().map_err(|_| broken(row.id()));
    let entries = rows.iter().map(entry).collect::<Result<Vec<AccessEntry>, Problem>>()?;
    let asked: Vec<_> = entries.iter().map(|one| (one.id.uuid(), one.time)).collect();
    let entered = entered(conn, tenant, &asked)?;
    let check = |(entry, entered): (&AccessEntry, &Option<Entered>)| check(tenant, entry, *entered);
    let leaves = entries.iter().zip(&entered).map(check).collect::<Result<Vec<_>, Problem>>()?;
    let mut messages: Vec<wire::AccessEntry> =
        entries.into_iter().zip(leaves).map(|(entry, leaf)| encode(entry, leaf)).collect();
    if proofs {
        add_proofs(conn, tenant, &mut messages, &entered)?;
    }
    Ok(messages)
}

/// The leaf that an entry is; empty of one that never was in the log.
fn check(
    tenant: TenantId,
    entry: &AccessEntry,
    entered: Option<Entered>,
) -> Result<String, Problem> {
    match (entry.leaf(tenant), entered) {
        (Some(leaf), Some(entered)) if entry.is_logged_as(&leaf, entered.hash) => Ok(leaf),
        (None, None) => Ok(String::new()),
        _ => Err(broken(entry.id)),
    }
}

fn add_proofs(
    conn: &mut PgConnection,
    tenant: TenantId,
    messages: &mut [wire::AccessEntry],
    entered: &[Option<Entered>],
) -> Result<(), Error> {
    let place = |one: &Option<Entered>| one.and_then(|one| Some((one.index?, one.hash)));
    let places: Vec<Option<(u64, Hash)>> = entered.iter().map(place).collect();
    let indexes: Vec<u64> = places.iter().flatten().map(|(index, _)| *index).collect();
    // Nothing is signed yet, or there is no key to sign with.
    let Some(proven) = prove(conn, tenant, &indexes)? else { return Ok(()) };
    let mut proofs = proven.proofs.into_iter();
    for (message, place) in messages.iter_mut().zip(places) {
        let Some((_, hash)) = place else { continue };
        let Some(proof) = proofs.next().flatten() else { continue };
        if !proof.leads(hash, &proven.checkpoint) {
            tracing::error!(entry = message.name, "an entry is not under the signed root");
            return Err(not_as_logged().into());
        }
        message.proof = TlogProof::to_string(&proof);
    }
    Ok(())
}

/// What becomes of an entry that is not what was logged: which one is for those who run the
/// service.
fn broken(entry: AccessId) -> Problem {
    tracing::error!(%entry, "an entry of the access log is not what was logged");
    not_as_logged()
}

fn not_as_logged() -> Problem {
    Problem::new(Reason::SealBroken, "The access log is not what was logged.")
}

fn encode(entry: AccessEntry, leaf: String) -> wire::AccessEntry {
    use wire::access_entry::Decision;
    let view = match entry.view {
        None => wire::RecordView::Unspecified,
        Some(View::Basic) => wire::RecordView::Basic,
        Some(View::Masked) => wire::RecordView::Masked,
        Some(View::Full) => wire::RecordView::Full,
    };
    let decision = if entry.refusal.is_none() { Decision::Permit } else { Decision::Deny };
    wire::AccessEntry {
        name: entry.id.name(),
        time: Some(Timestamp::encode(entry.time)),
        resource: entry.target().unwrap_or_default(),
        principal: entry.principal,
        workload: entry.workload.unwrap_or_default(),
        action: entry.action,
        subject: entry.subject.map(SubjectId::name).unwrap_or_default(),
        version: entry.version.unwrap_or_default(),
        view: view.into(),
        purpose: entry.purpose.unwrap_or_default(),
        decision: decision.into(),
        reason: entry.refusal.unwrap_or_default(),
        grounds: entry.grounds.unwrap_or_default(),
        trace_id: entry.trace_id,
        leaf,
        principal_salt: entry.commitment.map(|one| one.salt).unwrap_or_default().into(),
        proof: String::new(),
    }
}

/// Logs that somebody asked, and what became of it; where that fails there is no answer.
pub(super) async fn log<T>(
    rpc: &Rpc,
    call: &Call,
    mut access: Access,
    answer: Result<T, Problem>,
) -> Result<T, Problem> {
    let tenant = call.tenant_id()?;
    access.refusal = answer.as_ref().err().map(|problem| problem.reason);
    let append =
        move |conn: &mut PgConnection| Ok::<_, Error>(accesses::insert(conn, tenant, &access)?);
    rpc.db.write("log_access", call.scope(), append).await?;
    rpc.nudge.tenant(tenant);
    answer
}
