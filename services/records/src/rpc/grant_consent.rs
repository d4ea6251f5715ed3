//! `GovernanceService.GrantConsent`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance};
use crate::domain::access::Action;
use crate::domain::consent::{ANY, Consent, ConsentId};
use crate::domain::purpose::Purpose;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, consents};

const OPERATION: &str = "grant-consent";
/// The most purposes and types that a consent names.
const NAMED_MAX: usize = 64;

#[derive(Serialize)]
struct GrantConsent {
    id: Option<ConsentId>,
    subject: SubjectId,
    grantee: String,
    purposes: Vec<String>,
    kinds: Vec<String>,
    permits: bool,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GrantConsentRequest>,
) -> Result<Response<wire::Consent>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::consent))
}

fn decode(request: wire::GrantConsentRequest) -> Decoded<GrantConsent> {
    let consent = field::required(request.consent).at("consent")?;
    let permits = match consent.decision() {
        wire::consent::Decision::Permit => Ok(true),
        wire::consent::Decision::Deny => Ok(false),
        wire::consent::Decision::Unspecified => Err(invalid("must be PERMIT or DENY")),
    };
    let start_time = consent.start_time.map(Timestamp::decode).transpose();
    let end_time = consent.end_time.map(Timestamp::decode).transpose();
    Ok(GrantConsent {
        id: ConsentId::parse_chosen(&request.consent_id).at("consent_id")?,
        permits: permits.at("consent.decision")?,
        subject: SubjectId::parse_name(&consent.subject).at("consent.subject")?,
        grantee: field::text(consent.grantee, 1, 256).at("consent.grantee")?,
        purposes: purposes(consent.purposes).at("consent")?,
        kinds: kinds(consent.types).at("consent")?,
        start_time: start_time.at("consent.start_time")?,
        end_time: end_time.at("consent.end_time")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

/// Each once, in one order: consents that say the same are the same request.
fn purposes(mut codes: Vec<String>) -> Decoded<Vec<String>> {
    if codes.is_empty() || codes.len() > NAMED_MAX {
        return Err(invalid(format!("must be 1 to {NAMED_MAX} codes"))).at("purposes");
    }
    if codes.iter().any(|code| code == ANY) {
        return match codes.len() {
            1 => Ok(codes),
            _ => Err(invalid("must be * alone, or codes")).at("purposes"),
        };
    }
    for (index, code) in codes.iter().enumerate() {
        let unnamed = |problem: shared::problem::Problem| Box::new(problem.in_field(""));
        Purpose::parse(code).map_err(unnamed).at_index("purposes", index)?;
    }
    codes.sort_unstable();
    codes.dedup();
    Ok(codes)
}

fn kinds(types: Vec<String>) -> Decoded<Vec<String>> {
    if types.len() > NAMED_MAX {
        return Err(invalid(format!("must be at most {NAMED_MAX} types"))).at("types");
    }
    let read = |(index, kind)| field::kebab(kind, 64).at_index("types", index);
    let mut kinds: Vec<String> = types.into_iter().enumerate().map(read).collect::<Decoded<_>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

async fn handle(rpc: &Rpc, call: &Call, asked: GrantConsent) -> Result<Created<Consent>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let start_time = asked.start_time.unwrap_or(now);
    if asked.end_time.is_some_and(|end| end <= start_time) {
        return Err(invalid("must be after the start")).at("consent.end_time").map_err(Error::from);
    }
    let consent = Consent {
        id: asked.id.unwrap_or_else(ConsentId::generate),
        subject: asked.subject,
        grantee: asked.grantee,
        purposes: asked.purposes,
        kinds: asked.kinds,
        permits: asked.permits,
        start_time,
        end_time: asked.end_time,
        revoke_time: None,
        create_time: now,
        revision: 1,
    };
    let (id, subject) = (consent.id, consent.subject);
    if asked.validate_only {
        let check = move |conn: &mut PgConnection| {
            governance::find_subject(conn, tenant, subject)?;
            match consents::select(conn, tenant, id)? {
                Some(_) => Err(governance::id_taken(&id.name()).into()),
                None => Ok::<_, Error>(consent.clone()),
            }
        };
        return Ok(Created::Now(rpc.db.read("check_consent", call.scope(), check).await?));
    }
    let mut access = rpc.access(call, Action::GRANT_CONSENT);
    (access.subject, access.resource) = (Some(subject), Some(id.name()));
    let act = move |conn: &mut PgConnection| {
        governance::lock_subject(conn, tenant, subject)?;
        let in_force = consents::in_force_count(conn, tenant, subject, now)?;
        if in_force >= consents::IN_FORCE_MAX {
            let sentence = format!("has {in_force} consents in force: revoke some first");
            return Err(invalid(sentence)).at("consent.subject").map_err(Error::from);
        }
        if !consents::insert(conn, tenant, &consent)? {
            return Err(governance::id_taken(&id.name()).into());
        }
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "consent.granted", id.name(), now)
            .with("subject", subject.name())
            .with("decision", if consent.permits { "PERMIT" } else { "DENY" })
            .with("purposes", consent.purposes.clone())
            .with("types", consent.kinds.clone());
        events::record(conn, tenant, &event)?;
        Ok(consent.clone())
    };
    match rpc.once(call, "grant_consent", request, id.name(), act).await? {
        Once::Done(consent) => Ok(Created::Now(consent)),
        Once::Replayed(name) => {
            Ok(Created::Before(find(rpc, call, ConsentId::parse_name(&name)?).await?))
        }
    }
}

/// Reads a consent.
pub(super) async fn find(rpc: &Rpc, call: &Call, id: ConsentId) -> Result<Consent, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(consents::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    rpc.db.read("get_consent", call.scope(), read).await
}
