//! How a stream begins: it finds what came of its request id, and takes the lease of its upload.

use std::sync::Arc;

use diesel::PgConnection;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::outcome::Request;
use shared::problem::Problem;
use shared::time::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::OPERATION;
use super::header::Command;
use super::lease::Held;
use super::look::{Draft, Found, Look};
use crate::domain::record::Record;
use crate::domain::record_version;
use crate::domain::upload::{Lease, Upload, UploadId, begin_anew, in_progress};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::seal::{DataKey, SubjectKey, Wrapped};
use crate::store::keys::KeyChain;
use crate::store::{record_versions, records, subjects, uploads};

/// What a stream finds.
pub(super) enum Begun {
    /// The record that an earlier stream has made.
    Before(Box<Record>),
    /// An upload to stream into, and its lease.
    Now(Box<(Open, Held)>),
}

/// An upload that is being streamed into.
pub(super) struct Open {
    pub(super) tenant: TenantId,
    pub(super) upload: Upload,
    pub(super) lease: Uuid,
    /// The subject's key, and the key of the version below it.
    pub(super) key: Arc<SubjectKey>,
    pub(super) data_key: Arc<DataKey>,
    pub(super) request: Request,
    /// Where the frames begin in the content.
    pub(super) offset: u64,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn begin(rpc: &Rpc, call: &Call, command: Command) -> Result<Begun, Problem> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let (id, offset) = (command.id, command.offset);
    let place = rpc.streams.place();
    let lease = Lease { id: Uuid::now_v7(), until: now.plus(rpc.streams.lease) };
    let request_id = id.uuid().to_string();
    let mut request = call.request(OPERATION, request_id, &command.asked, &rpc.clock)?;
    let look = Look {
        tenant,
        id,
        offset,
        asked: command.asked,
        request: request.clone(),
        lease,
        now,
        refusal: place.as_ref().err().cloned(),
    };
    let look = move |conn: &mut PgConnection| look.find(conn);
    let held = Held::new(rpc, tenant, id, lease.id);
    let (upload, chain) = match rpc.db.write("find_upload", call.scope(), look).await {
        Ok(Found::Done(name)) => {
            held.done();
            return Ok(Begun::Before(Box::new(before(rpc, call, &name).await?)));
        }
        Ok(Found::Useless) => return Err(begin_anew()),
        Ok(Found::Kept(upload, chain)) => (upload, chain),
        Ok(Found::New(draft, chain)) => {
            let upload = new(rpc, draft, id, lease, now, &chain);
            (Upload { request_hash: request.hash.clone(), ..upload }, chain)
        }
        Err(error) => return Err(refuse(rpc, call, request, error.into()).await),
    };
    request.hash.clone_from(&upload.request_hash);
    let opened = open(rpc, call, upload, &chain).await;
    let (upload, key, data_key) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(refuse(rpc, call, request, error.into()).await),
    };
    let place = place?;
    let (lease, key, data_key) = (lease.id, Arc::new(key), Arc::new(data_key));
    let open = Open { tenant, upload, lease, key, data_key, request, offset, _place: place };
    Ok(Begun::Now(Box::new((open, held))))
}

fn new(
    rpc: &Rpc,
    draft: Draft,
    id: UploadId,
    lease: Lease,
    now: Timestamp,
    chain: &KeyChain,
) -> Upload {
    Upload {
        id,
        request_hash: Vec::new(),
        record: draft.record,
        subject: draft.subject,
        version: draft.version,
        header: draft.header,
        data_key_id: Uuid::now_v7(),
        subject_key_generation: chain.generation,
        data_key: None,
        segments: 0,
        received: 0,
        lease: Some(lease),
        create_time: now,
        expire_time: now.plus(rpc.streams.upload_age),
        done_time: None,
    }
}

/// Opens the keys of an upload; of a new one they are made, and it is stored.
async fn open(
    rpc: &Rpc,
    call: &Call,
    mut upload: Upload,
    chain: &KeyChain,
) -> Result<(Upload, SubjectKey, DataKey), Error> {
    let key = rpc.vault.subject_key(chain).await?;
    let (record, version, data_key_id) = (upload.record.uuid(), upload.version, upload.data_key_id);
    if let Some(wrapped) = &upload.data_key {
        let wrapped = Wrapped::from_bytes(wrapped)?;
        let data_key = key.open_data_key(record, version, data_key_id, &wrapped)?;
        return Ok((upload, key, data_key));
    }
    let (data_key, wrapped) = key.new_data_key(record, version, data_key_id)?;
    upload.data_key = Some(wrapped.to_bytes());
    let (tenant, stored) = (call.tenant_id()?, upload.clone());
    let insert = move |conn: &mut PgConnection| {
        let subject = stored.subject;
        let state = subjects::lock_state(conn, tenant, subject)?;
        state.ok_or_else(|| subject.not_found())?.allow_write(subject)?;
        let inserted = uploads::insert(conn, tenant, &stored)?;
        if inserted { Ok(()) } else { Err(Error::from(in_progress())) }
    };
    rpc.db.write("begin_upload", call.scope(), insert).await?;
    Ok((upload, key, data_key))
}

/// Refuses a request. A decision of business is stored with the request id.
async fn refuse(rpc: &Rpc, call: &Call, request: Request, problem: Problem) -> Problem {
    if !problem.is_frozen() {
        return problem;
    }
    let act = move |_: &mut PgConnection| Err::<(), _>(Error::from(problem.clone()));
    match rpc.once(call, "refuse_upload", Some(request), String::new(), act).await {
        Err(problem) => problem,
        // Another stream was faster.
        Ok(_) => in_progress(),
    }
}

/// The record as the first stream left it.
async fn before(rpc: &Rpc, call: &Call, name: &str) -> Result<Record, Error> {
    let tenant = call.tenant_id()?;
    let (id, version) = record_version::parse(name).ok_or_else(Problem::internal)?;
    let read = move |conn: &mut PgConnection| {
        let (record, _) = records::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        let record = record_versions::as_of(conn, tenant, record, version)?;
        Ok::<_, Error>(record.ok_or_else(|| id.not_found())?)
    };
    rpc.db.read("get_record", call.scope(), read).await
}
