//! Blind indexes, made anew with another version of their key, and by the rules that their types
//! have now: so that also an index which was added to a type later gets its rows.
//!
//! First come all records of the types that have an index, then whatever is left under an old
//! version because its writer was slow to see the new one, and at last the old version itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;

use super::job::{self, Job, Next, opened};
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::rotation::Step;
use crate::domain::subject::{SubjectId, SubjectState};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::seal::SealBroken;
use crate::store::keys::{KeyChain, key_chain};
use crate::store::record_index::IndexToken;
use crate::store::records::Sealed;
use crate::store::{
    index_keys, record_changes, record_index, record_types, records, reindexes, subjects,
};
use crate::vault;

/// Records of one step.
const BATCH: i64 = 64;
/// Bytes of the contents of one step, beyond the first.
const BYTES: i64 = 4 * 1024 * 1024;
/// Record types that are looked at together.
const KINDS: i64 = 100;

const FIRST: RecordId = RecordId::from_uuid(uuid::Uuid::nil());

/// Where the rotation stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Place {
    /// Behind a record type.
    Kinds { after: String },
    /// Behind a record of a type.
    Records { kind: String, after: RecordId },
    /// Behind an old version of the key.
    Versions { after: i32 },
    /// Behind a record with rows of an old version, some of which do not open.
    Leftovers { version: i32, after: RecordId, broken: i64 },
}

impl Place {
    pub(super) const START: Self = Self::Kinds { after: String::new() };
}

/// A record, with what it takes to open it.
struct Found {
    record: Record,
    sealed: Sealed,
    chain: Option<KeyChain>,
}

/// A record, with its new rows.
struct Tokens {
    record: Record,
    tokens: Vec<IndexToken>,
}

pub(super) async fn step(job: &Job<'_>) -> Result<bool, Error> {
    let (tenant, target) = (job.tenant, job.rotation.target);
    match job.place(Place::START) {
        Place::Kinds { after } => {
            let next = match next_kind(job.rpc, tenant, after).await? {
                Some(kind) => Place::Records { kind, after: FIRST },
                None => Place::Versions { after: 0 },
            };
            go(job, Next::At(next)).await
        }
        Place::Records { kind, after } => {
            let of = kind.clone();
            let read = move |conn: &mut PgConnection| {
                Ok(reindexes::records_of(conn, tenant, &of, after, BATCH)?)
            };
            let ids = job.read("get_records_of_type", read).await?;
            if ids.is_empty() {
                return go(job, Next::At(Place::Kinds { after: kind })).await;
            }
            let next = move |last, _| Place::Records { kind: kind.clone(), after: last };
            reindex(job, ids, next).await
        }
        Place::Versions { after } => {
            let read = move |conn: &mut PgConnection| {
                let versions =
                    index_keys::live(conn, tenant)?.into_iter().map(|(row, _)| row.version);
                Ok(versions.filter(|version| (after + 1..target).contains(version)).min())
            };
            let next = match job.read("get_index_keys", read).await? {
                Some(version) => Next::At(Place::Leftovers { version, after: FIRST, broken: 0 }),
                None => Next::End,
            };
            go(job, next).await
        }
        Place::Leftovers { version, after, broken } => {
            let read = move |conn: &mut PgConnection| {
                Ok(reindexes::records_under(conn, tenant, version, after, BATCH)?)
            };
            let ids = job.read("get_leftovers", read).await?;
            if ids.is_empty() {
                return take_away(job, version, broken).await;
            }
            let next =
                move |last, more| Place::Leftovers { version, after: last, broken: broken + more };
            reindex(job, ids, next).await
        }
    }
}

async fn go(job: &Job<'_>, next: Next<Place>) -> Result<bool, Error> {
    let write = move |_: &mut PgConnection| Ok((Step::default(), next.clone()));
    job.commit("go_on_with_rotation", write).await
}

/// The first type behind one that has an index.
async fn next_kind(rpc: &Rpc, tenant: TenantId, after: String) -> Result<Option<String>, Error> {
    let mut after = after;
    loop {
        let behind = after.clone();
        let read = move |conn: &mut PgConnection| {
            Ok::<_, Error>(record_types::candidates(conn, tenant, &behind, KINDS)?)
        };
        let found = rpc.db.read("list_record_types", job::scope(tenant), read).await?;
        let Some(last) = found.last().map(|kind| kind.id.clone()) else { return Ok(None) };
        for kind in found {
            let declared = rpc.types.get(&rpc.db, job::scope(tenant), tenant, &kind.id).await?;
            if declared.is_some_and(|declared| declared.has_indexes()) {
                return Ok(Some(kind.id));
            }
        }
        after = last;
    }
}

/// The types that have an index.
pub(super) async fn indexed_kinds(rpc: &Rpc, tenant: TenantId) -> Result<Vec<String>, Error> {
    let mut kinds: Vec<String> = Vec::new();
    loop {
        let after = kinds.last().cloned().unwrap_or_default();
        match next_kind(rpc, tenant, after).await? {
            Some(kind) => kinds.push(kind),
            None => return Ok(kinds),
        }
    }
}

/// Deletes an old version of the key, unless rows are left under it: those of records that do not
/// open stay, and for any others there is another pass.
async fn take_away(job: &Job<'_>, version: i32, broken: i64) -> Result<bool, Error> {
    let tenant = job.tenant;
    let write = move |conn: &mut PgConnection| {
        let left = reindexes::delete_key(conn, tenant, version)?;
        let next = match left <= broken {
            true => Next::At(Place::Versions { after: version }),
            false => Next::Waits(Place::Leftovers { version, after: FIRST, broken: 0 }),
        };
        Ok((Step::default(), next))
    };
    job.commit("delete_index_key", write).await
}

/// Makes the rows of records anew: as many of them as one step takes. `next` is the place behind
/// the last of these, some of which did not open.
async fn reindex(
    job: &Job<'_>,
    ids: Vec<RecordId>,
    next: impl Fn(RecordId, i64) -> Place + Send + Sync + 'static,
) -> Result<bool, Error> {
    let (tenant, counts) = (job.tenant, matches!(job.place(Place::START), Place::Records { .. }));
    let asked = ids.clone();
    let read = move |conn: &mut PgConnection| find(conn, tenant, &asked);
    let (last, found) = job.read("get_sealed", read).await?;
    let seen = ids.iter().filter(|id| **id <= last).count();
    let (mut made, mut broken) = (Vec::new(), Vec::new());
    for found in found {
        let name = found.record.id.name();
        match opened(tokens(job, found).await)? {
            Some(tokens) => made.push(tokens),
            None => broken.push(name),
        }
    }
    made.sort_by_key(|one: &Tokens| one.record.id);
    let place = next(last, i64::try_from(broken.len()).unwrap_or(i64::MAX));
    let done = if counts { i64::try_from(seen).unwrap_or(i64::MAX) } else { 0 };
    let write = move |conn: &mut PgConnection| {
        replace(conn, tenant, &made)?;
        Ok((Step { done, broken: broken.clone() }, Next::At(place.clone())))
    };
    job.commit("reindex", write).await
}

/// Reads records until they are as much as one step takes, and says which is the last.
fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[RecordId],
) -> Result<(RecordId, Vec<Found>), Error> {
    let (mut found, mut bytes, mut last) = (Vec::new(), 0, FIRST);
    for id in ids {
        if bytes > BYTES {
            break;
        }
        last = *id;
        let Some((record, state)) = records::select(conn, tenant, *id)? else { continue };
        if record.state == RecordState::Purged || state == SubjectState::Erased {
            continue;
        }
        let sealed = records::select_sealed(conn, tenant, *id, record.version)?;
        let sealed = sealed.ok_or(SealBroken)?;
        let generation = Some(sealed.subject_key_generation);
        let chain = key_chain(conn, tenant, record.subject, generation)?;
        bytes += record.size;
        found.push(Found { record, sealed, chain });
    }
    Ok((last, found))
}

/// Opens a record and makes its new rows.
async fn tokens(job: &Job<'_>, found: Found) -> Result<Tokens, Error> {
    let (rpc, tenant, scope) = (job.rpc, job.tenant, job::scope(job.tenant));
    let Found { record, sealed, chain } = found;
    let kind = rpc.types.get(&rpc.db, scope, tenant, &record.kind).await?;
    // Content of that size is not indexed.
    let is_indexed = record.content_type.is_json() && sealed.segments.is_none();
    let Some(kind) = kind.filter(|kind| is_indexed && kind.has_indexes()) else {
        return Ok(Tokens { record, tokens: Vec::new() });
    };
    let key = rpc.vault.subject_key(&chain.ok_or(SealBroken)?).await?;
    let (about, of) = (record.clone(), Arc::clone(&kind));
    let values = shared::task::blocking(move || {
        let content = vault::open(&key, &about, &sealed)?;
        // What was indexed once is still JSON; what cannot be indexed by new rules has no rows.
        Ok::<_, Error>(of.index_values(&about.content_type, &content).unwrap_or_default())
    });
    let values = values.await.map_err(|_| shared::problem::Problem::internal())??;
    let keys = rpc.vault.index_keys_now(tenant, scope).await?.ok_or(SealBroken)?;
    let tokens = keys.tokens(&kind, &values)?;
    Ok(Tokens { record, tokens })
}

/// Replaces the rows of records that are as they were read.
fn replace(conn: &mut PgConnection, tenant: TenantId, made: &[Tokens]) -> Result<(), Error> {
    let subjects: BTreeSet<SubjectId> = made.iter().map(|one| one.record.subject).collect();
    let mut gone = BTreeSet::new();
    for id in subjects {
        let state = subjects::lock_state(conn, tenant, id)?;
        if state.is_none_or(|state| state == SubjectState::Erased) {
            gone.insert(id);
        }
    }
    for Tokens { record, tokens } in made.iter().filter(|one| !gone.contains(&one.record.subject)) {
        let now = record_changes::lock(conn, tenant, record.id)?;
        let is_same = now
            .is_some_and(|now| now.version == record.version && now.state != RecordState::Purged);
        if is_same {
            record_index::delete(conn, tenant, record.id)?;
            record_index::insert(conn, tenant, record, tokens)?;
        }
    }
    Ok(())
}
