//! The version that an upload makes, written down in one transaction.

use diesel::PgConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::time::Timestamp;
use uuid::Uuid;

use super::begin::Open;
use super::finish::Version;
use super::{Stop, lost};
use crate::domain::access::Action;
use crate::domain::record::Record;
use crate::domain::record_version;
use crate::domain::upload::{Upload, begin_anew};
use crate::error::Error;
use crate::rpc::{Rpc, encode};
use crate::store::events::{self, Event};
use crate::store::record_index::IndexToken;
use crate::store::{
    accesses, keys, record_changes, record_index, record_versions, records, subjects, uploads,
};

/// Makes what was sealed a version of its record, once for the request id.
pub(super) async fn write(
    rpc: &Rpc,
    call: &Call,
    open: &Open,
    mut draft: Record,
    version: Version,
) -> Result<Record, Stop> {
    if let Some(kind) = &version.kind {
        draft.expire_time = kind.expire_time(draft.create_time, draft.event_time);
    }
    let mut access = rpc.access(call, Action::UPLOAD_RECORD);
    (access.subject, access.record) = (Some(draft.subject), Some(draft.id));
    access.version = Some(draft.version);
    let name = record_version::name(draft.id, draft.version);
    let (tenant, upload, lease) = (open.tenant, open.upload.clone(), open.lease);
    let now = draft.update_time;
    let act = move |conn: &mut PgConnection| {
        lock(conn, tenant, &upload)?;
        let record = match draft.version {
            1 => create(conn, tenant, &draft, &version)?,
            _ => update(conn, tenant, &upload, &draft, &version)?,
        };
        accesses::insert(conn, tenant, &access)?;
        let event = match record.version {
            1 => Event::record_created(tenant, &record),
            number => Event::new(tenant, "record.updated", record.id.name(), now)
                .with("fields", vec!["content"])
                .with("subject", record.subject.name())
                .with("version", number),
        };
        events::record(conn, tenant, &event)?;
        done(conn, tenant, &upload, lease, &record, now)?;
        Ok(record)
    };
    match rpc.once(call, "finish_upload", Some(open.request.clone()), name, act).await {
        Ok(Once::Done(record)) => Ok(record),
        Ok(Once::Replayed(_)) => Err(lost().into()),
        Err(problem) => Err(Stop::refused(problem)),
    }
}

/// Locks the subject. What was sealed under an older key of it must not be kept: the keys below may
/// have leaked.
fn lock(conn: &mut PgConnection, tenant: TenantId, upload: &Upload) -> Result<(), Error> {
    let subject = upload.subject;
    let state = subjects::lock_state(conn, tenant, subject)?;
    state.ok_or_else(|| subject.not_found())?.allow_write(subject)?;
    let chain = keys::key_chain(conn, tenant, subject, None)?;
    match chain {
        Some(chain) if chain.generation == upload.subject_key_generation => Ok(()),
        _ => Err(begin_anew().into()),
    }
}

fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    version: &Version,
) -> Result<Record, Error> {
    if !records::insert(conn, tenant, record, &version.sealed)? {
        return Err(Error::IdTaken(record.id));
    }
    index(conn, tenant, record, &version.tokens)?;
    Ok(record.clone())
}

fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    upload: &Upload,
    draft: &Record,
    version: &Version,
) -> Result<Record, Error> {
    let id = draft.id;
    let old = record_changes::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    let wanted = upload.header.revision.unwrap_or(old.revision);
    encode::check_etag(&encode::etag(wanted), old.revision, &id.name())?;
    old.allow_change()?;
    // The content is sealed for its place, and that is another's by now.
    if old.version + 1 != draft.version {
        return Err(begin_anew().into());
    }
    let new = Record {
        content_type: draft.content_type.clone(),
        version: draft.version,
        size: draft.size,
        update_time: draft.update_time,
        ..old.changed()
    };
    record_versions::insert(conn, tenant, &new, &version.sealed)?;
    record_index::delete(conn, tenant, id)?;
    index(conn, tenant, &new, &version.tokens)?;
    record_changes::update(conn, tenant, &new)?;
    Ok(new)
}

fn index(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    tokens: &[IndexToken],
) -> Result<(), Error> {
    match record_index::insert(conn, tenant, record, tokens) {
        Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
            Err(Error::Overtaken)
        }
        inserted => Ok(inserted?),
    }
}

fn done(
    conn: &mut PgConnection,
    tenant: TenantId,
    upload: &Upload,
    lease: Uuid,
    record: &Record,
    now: Timestamp,
) -> Result<(), Error> {
    let done = uploads::finish(conn, tenant, upload.id, lease, record.size, now)?;
    if done { Ok(()) } else { Err(lost().into()) }
}
