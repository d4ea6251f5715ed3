//! `SubjectService.EraseSubject`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::erasures::{self as shown, Shown};
use super::{Rpc, governance};
use crate::domain::access::{Access, Action};
use crate::domain::erasure::{
    Destroyed, Erasure, ErasureId, ErasureName, ErasureState, LegalBasis,
};
use crate::domain::subject::{SubjectId, SubjectState};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, erasures, policies, subjects};

const OPERATION: &str = "erase-subject";

#[derive(Serialize)]
struct EraseSubject {
    subject: SubjectId,
    legal_basis: LegalBasis,
    principal: String,
    #[serde(skip)]
    dry_run: bool,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::EraseSubjectRequest>,
) -> Result<Response<wire::Erasure>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), &call)?;
    let name = ErasureName { subject: asked.subject, id: ErasureId::generate() };
    let mut access = rpc.access(&call, Action::ERASE_SUBJECT);
    access.subject = Some(asked.subject);
    if asked.dry_run {
        let told = dry_run(rpc, &call, asked, name, access.clone()).await.map_err(Problem::from);
        let told = shown::shown(governance::audited(rpc, &call, access, told).await?);
        return Ok(Response::new(wire::Erasure { name: String::new(), ..told }));
    }
    access.resource = Some(name.name());
    let asked = handle(rpc, &call, asked, name, access.clone()).await.map_err(Problem::from);
    Ok(governance::audited(rpc, &call, access, asked).await?.respond(shown::shown))
}

fn decode(request: wire::EraseSubjectRequest, call: &Call) -> Decoded<EraseSubject> {
    use wire::erasure::LegalBasis as Basis;
    let legal_basis = match request.legal_basis() {
        Basis::SubjectRequest => Ok(LegalBasis::SubjectRequest),
        Basis::PurposeEnded => Ok(LegalBasis::PurposeEnded),
        Basis::UnlawfulProcessing => Ok(LegalBasis::UnlawfulProcessing),
        Basis::LegalObligation => Ok(LegalBasis::LegalObligation),
        Basis::Unspecified => Err(invalid("must be a reason for the erasure")),
    };
    Ok(EraseSubject {
        subject: SubjectId::parse_name(&request.name).at("name")?,
        legal_basis: legal_basis.at("legal_basis")?,
        principal: call.principal.subject.clone(),
        dry_run: request.dry_run,
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

/// Tells what would happen, which is logged, and changes nothing else.
async fn dry_run(
    rpc: &Rpc,
    call: &Call,
    asked: EraseSubject,
    name: ErasureName,
    access: Access,
) -> Result<Shown, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let look = move |conn: &mut PgConnection| {
        governance::find_subject(conn, tenant, name.subject)?;
        let erasure = begin(conn, tenant, &asked, name, now)?;
        accesses::insert(conn, tenant, &access)?;
        shown::show(conn, tenant, None, erasure, now)
    };
    let shown = rpc.db.write("check_erasure", call.scope(), look).await?;
    rpc.nudge.tenant(tenant);
    Ok(shown)
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: EraseSubject,
    name: ErasureName,
    access: Access,
) -> Result<Created<Shown>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let act = move |conn: &mut PgConnection| {
        governance::lock_subject(conn, tenant, name.subject)?;
        if let Some(open) = erasures::open_of(conn, tenant, name.subject)? {
            return Err(open.transition().into());
        }
        let erasure = begin(conn, tenant, &asked, name, now)?;
        erasures::insert(conn, tenant, &erasure)?;
        subjects::set_state(conn, tenant, name.subject, SubjectState::Restricted)?;
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "erasure.requested", name.name(), now)
            .with("subject", name.subject.name())
            .with("legalBasis", erasure.legal_basis.name())
            .with("state", erasure.state.name())
            .with("dueTime", erasure.due_time.to_string());
        events::record(conn, tenant, &event)?;
        let restricted = Event::new(tenant, "subject.restricted", name.subject.name(), now);
        events::record(conn, tenant, &restricted)?;
        shown::show(conn, tenant, None, erasure, now)
    };
    match rpc.once(call, "erase_subject", request, name.name(), act).await? {
        Once::Done(shown) => {
            rpc.sweep.notify_one();
            Ok(Created::Now(shown))
        }
        Once::Replayed(name) => {
            let name = ErasureName::parse(&name)?;
            Ok(Created::Before(shown::find(rpc, call, name).await?))
        }
    }
}

/// The erasure as it begins.
fn begin(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: &EraseSubject,
    name: ErasureName,
    now: Timestamp,
) -> Result<Erasure, Error> {
    let due_time = now.plus(policies::get(conn, tenant)?.erasure_delay);
    let is_free = shown::blockers(conn, tenant, name.subject, now)?.is_empty();
    Ok(Erasure {
        name,
        state: if is_free { ErasureState::Requested } else { ErasureState::Blocked },
        legal_basis: asked.legal_basis,
        requester: asked.principal.clone(),
        approver: None,
        create_time: now,
        due_time,
        next_time: due_time,
        shred_time: None,
        done_time: None,
        epochs: None,
        destroyed: Destroyed::default(),
        revision: 1,
    })
}
