//! `CreateSubject`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::{self, Once};
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::domain::subject::{Subject, SubjectId, SubjectState, erased};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::keys::SubjectKeyRow;
use crate::store::{accesses, keys, subjects};

/// The generation of a subject's first key.
const FIRST_GENERATION: i32 = 1;
/// The tenant's key may be rotated while a subject's is made under it: then that is made anew.
const KEY_TRIES: u8 = 3;

#[derive(Serialize)]
struct CreateSubject {
    id: Option<SubjectId>,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateSubjectRequest>,
) -> Result<Response<wire::Subject>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(|subject| encode::subject(&subject)))
}

fn decode(request: wire::CreateSubjectRequest) -> Decoded<CreateSubject> {
    Ok(CreateSubject {
        id: SubjectId::parse_chosen(&request.subject_id).at("subject_id")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: CreateSubject) -> Result<Created<Subject>, Error> {
    let id = command.id.unwrap_or_else(SubjectId::generate);
    let state = SubjectState::Active;
    let subject = Subject { id, state, create_time: rpc.clock.now(), revision: 1 };
    if command.validate_only {
        let existing = find(rpc, call, id).await?;
        return existing.map_or(Ok(Created::Now(subject)), again);
    }
    let asked = |id| call.request("create-subject", id, &command, &rpc.clock);
    let asked = command.request_id.clone().map(asked).transpose()?;
    let mut tries = KEY_TRIES;
    loop {
        tries -= 1;
        match create(rpc, call, &subject, asked.clone()).await {
            Err(problem) if problem.reason == Reason::Contention && tries > 0 => {}
            done => return done_or_found(rpc, call, done?).await,
        }
    }
}

async fn create(
    rpc: &Rpc,
    call: &Call,
    subject: &Subject,
    asked: Option<outcome::Request>,
) -> Result<Once<Created<Subject>>, Problem> {
    // A refusal of the key provider waits until the request id has been looked up: a repeat gets
    // its answer without any key.
    let key = new_key(rpc, call, subject).await.map_err(Problem::from);
    let (id, subject) = (subject.id, subject.clone());
    let mut access = rpc.access(call, Action::CREATE_SUBJECT);
    access.subject = Some(id);
    let tenant = call.tenant_id()?;
    let act = move |conn: &mut PgConnection| {
        let key = key.clone()?;
        if !subjects::insert(conn, tenant, &subject)? {
            let existing = subjects::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
            return again(existing);
        }
        if !keys::insert_subject_key(conn, &key)? {
            return Err(Error::Overtaken);
        }
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "subject.created", id.name(), subject.create_time);
        events::record(conn, tenant, &event)?;
        Ok(Created::Now(subject.clone()))
    };
    rpc.once(call, "create_subject", asked, id.name(), act).await
}

async fn done_or_found(
    rpc: &Rpc,
    call: &Call,
    once: Once<Created<Subject>>,
) -> Result<Created<Subject>, Error> {
    match once {
        Once::Done(answer) => Ok(answer),
        Once::Replayed(name) => {
            let id = SubjectId::parse_name(&name)?;
            let subject = find(rpc, call, id).await?.ok_or_else(|| id.not_found())?;
            Ok(Created::Before(subject))
        }
    }
}

/// Whoever asks for a subject that exists gets it: a subject is an id and a key, so that the second
/// is as good as the first. An erased one never comes back.
fn again(existing: Subject) -> Result<Created<Subject>, Error> {
    match existing.state {
        SubjectState::Erased => Err(erased(existing.id).into()),
        SubjectState::Active | SubjectState::Restricted => Ok(Created::Before(existing)),
    }
}

async fn find(rpc: &Rpc, call: &Call, id: SubjectId) -> Result<Option<Subject>, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| Ok::<_, Error>(subjects::select(conn, tenant, id)?);
    rpc.db.read("get_subject", call.scope(), read).await
}

async fn new_key(rpc: &Rpc, call: &Call, subject: &Subject) -> Result<SubjectKeyRow, Error> {
    let tenant = call.tenant_id()?;
    let above = rpc.vault.tenant_key(tenant, call.scope()).await?;
    let (_, wrapped) = above.new_subject_key(subject.id.uuid(), FIRST_GENERATION)?;
    Ok(SubjectKeyRow {
        tenant_id: tenant,
        subject_id: subject.id,
        generation: FIRST_GENERATION,
        tenant_key_epoch: above.epoch(),
        wrapped: wrapped.to_bytes(),
        create_time: subject.create_time,
        first_epoch: Some(above.epoch()),
        made_epoch: above.epoch(),
    })
}
