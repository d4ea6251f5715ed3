//! `GovernanceService.SetRetentionInterest`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance};
use crate::domain::access::Action;
use crate::domain::retention::{RetentionInterest, RetentionInterestId, interest_id};
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, erasures, retention_interests};

const OPERATION: &str = "set-retention-interest";

#[derive(Serialize)]
struct SetRetentionInterest {
    subject: SubjectId,
    source: String,
    reference: String,
    end_time: Option<Timestamp>,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SetRetentionInterestRequest>,
) -> Result<Response<wire::RetentionInterest>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::interest))
}

fn decode(request: wire::SetRetentionInterestRequest) -> Decoded<SetRetentionInterest> {
    let interest = field::required(request.retention_interest).at("retention_interest")?;
    let subject = SubjectId::parse_name(&interest.subject);
    let reference = field::text(interest.reference, 1, 128);
    let end_time = interest.end_time.map(Timestamp::decode).transpose();
    Ok(SetRetentionInterest {
        subject: subject.at("retention_interest.subject")?,
        source: field::kebab(interest.source, 64).at("retention_interest.source")?,
        reference: reference.at("retention_interest.reference")?,
        end_time: end_time.at("retention_interest.end_time")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: SetRetentionInterest,
) -> Result<Created<RetentionInterest>, Error> {
    let (tenant, now, subject) = (call.tenant_id()?, rpc.clock.now(), asked.subject);
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let interest = RetentionInterest {
        id: interest_id(subject, &asked.source, &asked.reference),
        subject,
        source: asked.source,
        reference: asked.reference,
        end_time: asked.end_time,
        create_time: now,
        update_time: now,
    };
    let id = interest.id;
    if asked.validate_only {
        let check = move |conn: &mut PgConnection| {
            governance::find_subject(conn, tenant, subject)?;
            let before = retention_interests::select(conn, tenant, id)?;
            let create_time = before.map_or(now, |before| before.create_time);
            Ok::<_, Error>(RetentionInterest { create_time, ..interest.clone() })
        };
        let set = rpc.db.read("check_retention_interest", call.scope(), check).await?;
        return Ok(Created::Now(set));
    }
    let mut access = rpc.access(call, Action::SET_RETENTION_INTEREST);
    (access.subject, access.resource) = (Some(subject), Some(id.name()));
    let act = move |conn: &mut PgConnection| {
        governance::lock_subject(conn, tenant, subject)?;
        let set = retention_interests::set(conn, tenant, &interest)?;
        accesses::insert(conn, tenant, &access)?;
        let mut event = Event::new(tenant, "retentionInterest.set", id.name(), now)
            .with("subject", subject.name())
            .with("source", set.source.as_str());
        if let Some(time) = set.end_time {
            event = event.with("endTime", time.to_string());
        }
        events::record(conn, tenant, &event)?;
        // It may block for longer now, or for less.
        let woken = erasures::wake(conn, tenant, subject, now)?;
        Ok((set, woken))
    };
    match rpc.once(call, "set_retention_interest", request, id.name(), act).await? {
        Once::Done((set, woken)) => {
            if woken {
                rpc.sweep.notify_one();
            }
            Ok(Created::Now(set))
        }
        Once::Replayed(_) => Ok(Created::Before(find(rpc, call, id).await?)),
    }
}

async fn find(rpc: &Rpc, call: &Call, id: RetentionInterestId) -> Result<RetentionInterest, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = retention_interests::select(conn, tenant, id)?;
        Ok::<_, Error>(found.ok_or_else(|| id.not_found())?)
    };
    rpc.db.read("get_retention_interest", call.scope(), read).await
}
