//! `RecordService.LookupRecords`.

use std::sync::Arc;

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::reading::{self, Ask, Granted};
use super::{Rpc, encode, offload, record_types};
use crate::domain::access::{Access, Action};
use crate::domain::extraction::IndexValue;
use crate::domain::normalise::VALUE_MAX;
use crate::domain::purpose::Purpose;
use crate::domain::record::{Record, RecordId, View};
use crate::domain::record_type::CompiledType;
use crate::error::Error;
use crate::store::{accesses, index_keys, record_index};

/// The most records that one look-up gives.
const FOUND_MAX: usize = 100;
/// How often a look-up begins anew because the keys of the index were rotated meanwhile.
const TRIES: u8 = 3;

struct Lookup {
    kind: String,
    index: String,
    value: Zeroizing<String>,
    purpose: String,
}

/// What is looked for, in the type that has it.
struct Wanted {
    kind: Arc<CompiledType>,
    value: IndexValue,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::LookupRecordsRequest>,
) -> Result<Response<wire::LookupRecordsResponse>, Status> {
    let call = Call::of(&request)?;
    let lookup = decode(request.into_inner())?;
    let (records, more) = handle(rpc, &call, lookup).await?;
    let records = records.into_iter().map(encode::basic).collect();
    Ok(Response::new(wire::LookupRecordsResponse { records, more }))
}

fn decode(request: wire::LookupRecordsRequest) -> Decoded<Lookup> {
    Ok(Lookup {
        kind: record_types::id(request.r#type).at("type")?,
        index: record_types::id(request.index).at("index")?,
        value: Zeroizing::new(field::text(request.value, 1, VALUE_MAX).at("value")?),
        purpose: request.purpose,
    })
}

/// Looks up, logs, and only then answers. That somebody looked is logged even where nothing is
/// found; each record that is opened for it has an entry of its own.
async fn handle(rpc: &Rpc, call: &Call, lookup: Lookup) -> Result<(Vec<Record>, bool), Problem> {
    let purpose = Purpose::parse(&lookup.purpose);
    let mut access = rpc.access(call, Action::LOOKUP_RECORDS);
    access.resource = Some(record_types::name(&lookup.kind));
    access.purpose = purpose.as_ref().ok().copied();
    let wanted = match purpose.and_then(|purpose| reading::may_use(call, purpose)) {
        Ok(_) => want(rpc, call, &lookup).await,
        Err(problem) => Err(problem),
    };
    access.refusal = wanted.as_ref().err().map(|problem| problem.reason);
    log(rpc, call, access).await?;
    let wanted = wanted?;
    let mut ids = find(rpc, call, &wanted).await?;
    let more = ids.len() > FOUND_MAX;
    ids.truncate(FOUND_MAX);
    let granted = grant(rpc, call, &ids, &lookup.purpose).await?;
    let mut records = Vec::with_capacity(granted.len());
    for one in granted {
        if has(rpc, &wanted, &one).await? {
            records.push(one.record);
        }
    }
    Ok((records, more))
}

/// The form of the value in its index, or why there is none.
async fn want(rpc: &Rpc, call: &Call, lookup: &Lookup) -> Result<Wanted, Problem> {
    let (tenant, id) = (call.tenant_id()?, lookup.kind.as_str());
    let kind = rpc.types.get(&rpc.db, call.scope(), tenant, id).await?;
    let kind = kind.ok_or_else(|| record_types::not_found(id))?;
    let name = || format!("{}/indexes/{}", record_types::name(id), lookup.index);
    let index = kind.index(&lookup.index).ok_or_else(|| Problem::not_found("index", name()))?;
    let form = index.normalisation.apply(&lookup.value);
    let form = form.map_err(|error| invalid(error.to_string())).at("value")?;
    let form = form.ok_or_else(|| invalid("must be something that this index has")).at("value")?;
    let value = IndexValue { index: lookup.index.clone(), value: form };
    Ok(Wanted { kind, value })
}

async fn log(rpc: &Rpc, call: &Call, access: Access) -> Result<(), Error> {
    let tenant = call.tenant_id()?;
    let append =
        move |conn: &mut PgConnection| Ok::<_, Error>(accesses::insert(conn, tenant, &access)?);
    let logged = rpc.db.write("log_access", call.scope(), append).await;
    rpc.nudge.tenant(tenant);
    logged
}

/// The records that have the value's token under any key: one more than are given, where there are.
async fn find(rpc: &Rpc, call: &Call, wanted: &Wanted) -> Result<Vec<RecordId>, Error> {
    let (tenant, limit) = (call.tenant_id()?, i64::try_from(FOUND_MAX).unwrap_or(i64::MAX) + 1);
    for _ in 0..TRIES {
        let Some(keys) = rpc.vault.index_keys_now(tenant, call.scope()).await? else {
            return Ok(Vec::new());
        };
        let tokens = keys.query(&wanted.kind, &wanted.value)?;
        let (kind, index) = (Arc::clone(&wanted.kind), wanted.value.index.clone());
        let read = move |conn: &mut PgConnection| {
            // In one snapshot: a record that moves from one key to another is under one of them.
            let versions = index_keys::versions(conn, tenant)?;
            if !versions.into_iter().eq(tokens.iter().map(|(version, _)| *version)) {
                return Ok(None);
            }
            let place = (kind.id(), index.as_str());
            Ok::<_, Error>(Some(record_index::find(conn, tenant, place, &tokens, limit)?))
        };
        if let Some(found) = rpc.db.read("lookup_records", call.scope(), read).await? {
            return Ok(found);
        }
    }
    Err(Error::Overtaken)
}

/// Those of the records that may be read: the others are left out, and that is logged. Mostly all
/// of them may.
async fn grant(
    rpc: &Rpc,
    call: &Call,
    ids: &[RecordId],
    purpose: &str,
) -> Result<Vec<Granted>, Problem> {
    let read = async |ids: &[RecordId]| {
        let targets = ids.iter().map(|id| (*id, 0)).collect();
        let purpose = purpose.to_owned();
        let ask = Ask { targets, view: View::Full, purpose, action: Action::LOOKUP_RECORDS };
        match reading::read(rpc, call, ask).await {
            Ok(granted) => Ok(Some(granted)),
            Err(problem) if is_left_out(problem.reason) => Ok(None),
            Err(problem) => Err(problem),
        }
    };
    if let Some(granted) = read(ids).await? {
        return Ok(granted);
    }
    let mut granted = Vec::new();
    if ids.len() > 1 {
        for id in ids {
            granted.extend(read(&[*id]).await?.into_iter().flatten());
        }
    }
    Ok(granted)
}

/// What is refused of a single record, which then is none that was found.
fn is_left_out(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConsentMissing
            | Reason::SubjectRestricted
            | Reason::SubjectErased
            | Reason::InvalidTransition
            | Reason::ResourceNotFound
    )
}

/// Whether a record that was found has the value indeed: of a short token, others have the same. To
/// open it finds out whether its tokens are those of its values.
async fn has(rpc: &Rpc, wanted: &Wanted, granted: &Granted) -> Result<bool, Problem> {
    let shown = reading::show(rpc, std::slice::from_ref(granted), View::Full).await?;
    let content = Zeroizing::new(shown.into_iter().next().unwrap_or_default());
    let (kind, content_type) = (Arc::clone(&wanted.kind), granted.record.content_type.clone());
    // What the rules of today do not take is not found by them.
    let values = move || kind.index_values(&content_type, &content).unwrap_or_default();
    let size = usize::try_from(granted.record.size).unwrap_or(usize::MAX);
    Ok(offload(size, values).await?.contains(&wanted.value))
}
