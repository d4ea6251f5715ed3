//! `RecordTypeService.UpdateRecordType`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::mask::Mask;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, get_record_type, record_types, types};
use crate::domain::access::Action;
use crate::domain::record_type::RecordType;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{self, accesses};

const OPERATION: &str = "update-record-type";
/// What a mask may name.
const FIELDS: [&str; 4] = ["json_schema", "fields", "retention", "requires_consent"];
/// How often a change that another one overtook is made anew.
const TRIES: u8 = 3;

#[derive(Clone)]
struct UpdateRecordType {
    /// The fields that are taken over.
    fields: Vec<&'static str>,
    /// What they shall be.
    kind: RecordType,
    etag: String,
    request_id: Option<String>,
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdateRecordTypeRequest>,
) -> Result<Response<wire::RecordType>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner(), rpc.clock.now())?;
    Ok(handle(rpc, &call, command).await?.respond(record_types::encode))
}

fn decode(request: wire::UpdateRecordTypeRequest, now: Timestamp) -> Decoded<UpdateRecordType> {
    let kind = field::required(request.record_type).at("record_type")?;
    let paths = request.update_mask.unwrap_or_default().paths;
    let mask = Mask::decode(&paths, &FIELDS).at("update_mask")?;
    let fields = mask.fields(|field| match field {
        "json_schema" => !kind.json_schema.is_empty(),
        "fields" => !kind.fields.is_empty(),
        "retention" => kind.retention.is_some(),
        _ => kind.requires_consent,
    });
    let id = record_types::parse_name(&kind.name).at("record_type.name")?;
    Ok(UpdateRecordType {
        fields: fields.at("update_mask")?,
        etag: kind.etag.clone(),
        kind: record_types::decode(kind, id, now).at("record_type")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

impl UpdateRecordType {
    fn asked(&self) -> impl Serialize + use<'_> {
        (&self.fields, record_types::declared(&self.kind), &self.etag)
    }

    /// The type as it shall be.
    fn apply(&self, old: &RecordType) -> Result<RecordType, Problem> {
        encode::check_etag(&self.etag, old.revision, &record_types::name(&old.id))?;
        if self.kind.content_type.is_some() && self.kind.content_type != old.content_type {
            let sentence = "cannot be changed: what is sealed was sealed as that";
            return Err(invalid(sentence).in_field("record_type.content_type"));
        }
        let (mut new, asked) = (old.clone(), self.kind.clone());
        for field in &self.fields {
            match *field {
                "json_schema" => new.schema.clone_from(&asked.schema),
                "fields" => new.fields.clone_from(&asked.fields),
                "retention" => new.retention = asked.retention,
                _ => new.requires_consent = asked.requires_consent,
            }
        }
        new.update_time = asked.update_time;
        new.revision += 1;
        Ok(new)
    }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: UpdateRecordType,
) -> Result<Created<RecordType>, Error> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match update(rpc, call, &command).await {
            Err(Error::Problem(problem)) if problem.reason == Reason::Contention && tries > 0 => {}
            done => return done,
        }
    }
}

async fn update(
    rpc: &Rpc,
    call: &Call,
    command: &UpdateRecordType,
) -> Result<Created<RecordType>, Error> {
    let (tenant, id) = (call.tenant_id()?, command.kind.id.clone());
    let old = get_record_type::find(rpc, call, id.clone()).await?;
    // A refusal waits until the request id has been looked up: a repeat gets its first answer.
    let new = match command.apply(&old) {
        Ok(new) => compiled(new).await,
        Err(problem) => Err(problem),
    };
    if command.validate_only {
        return Ok(Created::Now(new?));
    }
    let asked = |id| call.request(OPERATION, id, &command.asked(), &rpc.clock);
    let asked = command.request_id.clone().map(asked).transpose()?;
    let name = record_types::name(&id);
    let mut access = rpc.access(call, Action::UPDATE_RECORD_TYPE);
    access.resource = Some(name.clone());
    let (resource, key, fields) = (name.clone(), id.clone(), command.fields.clone());
    let act = move |conn: &mut PgConnection| {
        let new = new.clone()?;
        let found = store::record_types::lock(conn, tenant, &key)?;
        let found = found.ok_or_else(|| record_types::not_found(&key))?;
        if found.revision + 1 != new.revision {
            return Err(Error::Overtaken);
        }
        store::record_types::update(conn, tenant, &new)?;
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "recordType.updated", name.clone(), new.update_time);
        events::record(conn, tenant, &event.with("fields", fields.clone()))?;
        Ok(new)
    };
    match rpc.once(call, "update_record_type", asked, resource, act).await? {
        Once::Done(kind) => {
            rpc.types.forget(tenant, &id);
            Ok(Created::Now(kind))
        }
        Once::Replayed(_) => Ok(Created::Before(get_record_type::find(rpc, call, id).await?)),
    }
}

async fn compiled(kind: RecordType) -> Result<RecordType, Problem> {
    let (kind, compiled) = types::check(kind).await?;
    compiled.map_err(Box::new).at("record_type")?;
    Ok(kind)
}
