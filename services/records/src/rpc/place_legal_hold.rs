//! `GovernanceService.PlaceLegalHold`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::{self, Once};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance};
use crate::domain::access::Action;
use crate::domain::legal_hold::{HoldState, LegalHold, LegalHoldId};
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, legal_holds, records};

const OPERATION: &str = "place-legal-hold";

#[derive(Clone, Copy, Serialize)]
enum Target {
    Subject(SubjectId),
    Record(RecordId),
}

/// The reference may name a person, so it is not in the hash: a repeat is compared with what is
/// stored instead.
#[derive(Serialize)]
struct PlaceLegalHold {
    id: Option<LegalHoldId>,
    target: Target,
    authority: String,
    #[serde(skip)]
    case_reference: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::PlaceLegalHoldRequest>,
) -> Result<Response<wire::LegalHold>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::legal_hold))
}

fn decode(request: wire::PlaceLegalHoldRequest) -> Decoded<PlaceLegalHold> {
    let hold = field::required(request.legal_hold).at("legal_hold")?;
    let reference = field::text(hold.case_reference, 1, 256);
    Ok(PlaceLegalHold {
        id: LegalHoldId::parse_chosen(&request.legal_hold_id).at("legal_hold_id")?,
        target: target(&hold.target).at("legal_hold.target")?,
        authority: field::kebab(hold.authority, 64).at("legal_hold.authority")?,
        case_reference: reference.at("legal_hold.case_reference")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

fn target(name: &str) -> Decoded<Target> {
    let subject = SubjectId::parse_name(name).map(Target::Subject);
    subject
        .or_else(|_| RecordId::parse_name(name).map(Target::Record))
        .map_err(|_| invalid("must be subjects/{uuid} or records/{uuid}"))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: PlaceLegalHold,
) -> Result<Created<LegalHold>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let (target, validate_only) = (asked.target, asked.validate_only);
    let hold = LegalHold {
        id: asked.id.unwrap_or_else(LegalHoldId::generate),
        // As the target has it: see below.
        subject: SubjectId::from_uuid(uuid::Uuid::nil()),
        record: None,
        authority: asked.authority,
        case_reference: Some(asked.case_reference.clone()),
        state: HoldState::Active,
        placer: call.principal.subject.clone(),
        release_requester: None,
        releaser: None,
        revision: 1,
        create_time: now,
        release_time: None,
    };
    if validate_only {
        let check = move |conn: &mut PgConnection| {
            let hold = aim(conn, tenant, hold.clone(), target)?;
            governance::find_subject(conn, tenant, hold.subject)?;
            if legal_holds::select(conn, tenant, hold.id)?.is_some() {
                return Err(governance::id_taken(&hold.id.name()).into());
            }
            Ok::<_, Error>(hold)
        };
        let hold = rpc.db.read("check_legal_hold", call.scope(), check).await?;
        return Ok(Created::Now(hold));
    }
    let (id, mut access) = (hold.id, rpc.access(call, Action::PLACE_LEGAL_HOLD));
    access.resource = Some(id.name());
    let act = move |conn: &mut PgConnection| {
        let hold = aim(conn, tenant, hold.clone(), target)?;
        governance::lock_subject(conn, tenant, hold.subject)?;
        if !legal_holds::insert(conn, tenant, &hold)? {
            return Err(governance::id_taken(&hold.id.name()).into());
        }
        let mut access = access.clone();
        (access.subject, access.record) = (Some(hold.subject), hold.record);
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "legalHold.placed", hold.id.name(), now)
            .with("subject", hold.subject.name())
            .with("target", hold.target())
            .with("authority", hold.authority.as_str());
        events::record(conn, tenant, &event)?;
        Ok(hold)
    };
    match rpc.once(call, "place_legal_hold", request, id.name(), act).await? {
        Once::Done(hold) => Ok(Created::Now(hold)),
        Once::Replayed(name) => {
            let hold = find(rpc, call, LegalHoldId::parse_name(&name)?).await?;
            let is_same = |reference| reference == asked.case_reference;
            match hold.case_reference.clone().is_none_or(is_same) {
                true => Ok(Created::Before(hold)),
                false => Err(outcome::reused(OPERATION).into()),
            }
        }
    }
}

/// The hold on its target.
fn aim(
    conn: &mut PgConnection,
    tenant: TenantId,
    hold: LegalHold,
    target: Target,
) -> Result<LegalHold, Error> {
    match target {
        Target::Subject(subject) => Ok(LegalHold { subject, ..hold }),
        Target::Record(id) => {
            let found = records::select(conn, tenant, id)?;
            let (record, _) = found.ok_or_else(|| id.not_found())?;
            Ok(LegalHold { subject: record.subject, record: Some(id), ..hold })
        }
    }
}

/// Reads a hold.
pub(super) async fn find(rpc: &Rpc, call: &Call, id: LegalHoldId) -> Result<LegalHold, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(legal_holds::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    rpc.db.read("get_legal_hold", call.scope(), read).await
}
