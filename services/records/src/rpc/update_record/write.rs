//! An update, prepared and written: what another update overtakes is to be made anew.

use std::sync::Arc;

use diesel::PgConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::{self, Once};
use shared::problem::Problem;

use super::{CONTENT, EVENT_TIME, LABELS, OPERATION, UpdateRecord};
use crate::domain::access::Action;
use crate::domain::record::Record;
use crate::domain::record_type::CompiledType;
use crate::domain::record_version;
use crate::domain::subject::SubjectState;
use crate::error::Error;
use crate::rpc::{Rpc, content, offload};
use crate::store::events::{self, Event};
use crate::store::record_index::IndexToken;
use crate::store::records::Sealed;
use crate::store::{
    accesses, keys, record_changes, record_index, record_versions, records, subjects,
};
use crate::vault;

/// What an update needs that takes keys or time.
struct Prepared {
    kind: Option<Arc<CompiledType>>,
    next: Option<Next>,
}

/// The next version, sealed.
struct Next {
    version: i64,
    sealed: Sealed,
    tokens: Vec<IndexToken>,
}

/// Updates a record once.
pub(super) async fn update(
    rpc: &Rpc,
    call: &Call,
    command: &Arc<UpdateRecord>,
) -> Result<Created<Record>, Problem> {
    let (tenant, id, now) = (call.tenant_id()?, command.id, rpc.clock.now());
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(records::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    let (old, state) = rpc.db.read("get_record", call.scope(), read).await?;
    // A refusal waits until the request id has been looked up: a repeat gets its first answer.
    let prepared = prepare(rpc, call, command, &old, state).await.map(Arc::new);
    if command.validate_only {
        let kind = prepared?.kind.clone();
        return Ok(Created::Now(command.apply(&old, state, kind.as_deref(), now)?));
    }
    let request = |id| call.request(OPERATION, id, &**command, &rpc.clock);
    let request = command.request_id.clone().map(request).transpose()?;
    let name = match command.takes(CONTENT) {
        true => record_version::name(id, old.version + 1),
        false => id.name(),
    };
    let mut access = rpc.access(call, Action::UPDATE_RECORD);
    (access.subject, access.record) = (Some(old.subject), Some(id));
    let asked = Arc::clone(command);
    let subject = old.subject;
    let act = move |conn: &mut PgConnection| {
        let prepared = prepared.clone()?;
        let state = subjects::lock_state(conn, tenant, subject)?;
        let state = state.ok_or_else(|| subject.not_found())?;
        let old = record_changes::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        let new = asked.apply(&old, state, prepared.kind.as_deref(), now)?;
        write(conn, tenant, &asked, &prepared, &new)?;
        let mut access = access.clone();
        access.version = Some(new.version);
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "record.updated", id.name(), now)
            .with("fields", asked.fields.clone())
            .with("subject", subject.name())
            .with("version", new.version);
        events::record(conn, tenant, &event)?;
        Ok(new)
    };
    match rpc.once(call, "update_record", request, name, act).await? {
        Once::Done(record) => Ok(Created::Now(record)),
        Once::Replayed(name) => repeat(rpc, call, command, &name).await.map(Created::Before),
    }
}

async fn prepare(
    rpc: &Rpc,
    call: &Call,
    command: &UpdateRecord,
    old: &Record,
    state: SubjectState,
) -> Result<Prepared, Problem> {
    if !command.takes(CONTENT) {
        let tenant = call.tenant_id()?;
        let kind = match command.takes(EVENT_TIME) {
            true => rpc.types.get(&rpc.db, call.scope(), tenant, &old.kind).await?,
            false => None,
        };
        return Ok(Prepared { kind, next: None });
    }
    // What is not allowed is not sealed.
    let next = command.apply(old, state, None, old.update_time)?;
    let (content, media) = (&command.content, &next.content_type);
    let checked = content::check(rpc, call, &old.kind, media, content).await?;
    let sealed = content::seal(rpc, call, &next, content.clone()).await?;
    let next = Next { version: next.version, sealed, tokens: checked.tokens };
    Ok(Prepared { kind: checked.kind, next: Some(next) })
}

fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: &UpdateRecord,
    prepared: &Prepared,
    new: &Record,
) -> Result<(), Error> {
    if let Some(next) = &prepared.next {
        let generation = next.sealed.subject_key_generation;
        if next.version != new.version {
            return Err(Error::Overtaken);
        }
        if !keys::has_generation(conn, tenant, new.subject, generation)? {
            return Err(Error::Overtaken);
        }
        record_versions::insert(conn, tenant, new, &next.sealed)?;
        record_index::delete(conn, tenant, new.id)?;
        match record_index::insert(conn, tenant, new, &next.tokens) {
            Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
                return Err(Error::Overtaken);
            }
            done => done?,
        }
    }
    if asked.takes(LABELS) {
        record_changes::replace_labels(conn, tenant, new)?;
    }
    Ok(record_changes::update(conn, tenant, new)?)
}

/// The record as the first request left it, if that one had the same content.
async fn repeat(
    rpc: &Rpc,
    call: &Call,
    command: &UpdateRecord,
    name: &str,
) -> Result<Record, Problem> {
    let (tenant, id) = (call.tenant_id()?, command.id);
    let version = record_version::number(name);
    let read = move |conn: &mut PgConnection| {
        let (record, _) = records::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        let Some(version) = version else { return Ok((record, None)) };
        let record = record_versions::as_of(conn, tenant, record, version)?;
        let record = record.ok_or_else(|| id.not_found())?;
        let Some(sealed) = records::select_sealed(conn, tenant, id, version)? else {
            return Ok((record, None));
        };
        let generation = Some(sealed.subject_key_generation);
        let chain = keys::key_chain(conn, tenant, record.subject, generation)?;
        Ok::<_, Error>((record, chain.map(|chain| (chain, sealed))))
    };
    let (record, sealed) = rpc.db.read("get_record", call.scope(), read).await?;
    // Of what is purged or erased there is nothing left to compare with.
    let sealed = sealed.filter(|(_, sealed)| sealed.commitment_salt.is_some());
    if let Some((chain, sealed)) = sealed {
        let key = rpc.vault.subject_key(&chain).await?;
        let (same, content) = (record.clone(), command.content.clone());
        let verify = move || vault::verify(&key, &same, &sealed, &content);
        if offload(command.content.len(), verify).await?.is_err() {
            return Err(outcome::reused(OPERATION));
        }
    }
    Ok(record)
}
