//! `GovernanceService.RevokeConsent`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, governance, grant_consent};
use crate::domain::access::Action;
use crate::domain::consent::{Consent, ConsentId};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, consents};

const OPERATION: &str = "revoke-consent";

#[derive(Serialize)]
struct RevokeConsent {
    id: ConsentId,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RevokeConsentRequest>,
) -> Result<Response<wire::Consent>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?.respond(governance::consent))
}

fn decode(request: wire::RevokeConsentRequest) -> Decoded<RevokeConsent> {
    Ok(RevokeConsent {
        id: ConsentId::parse_name(&request.name).at("name")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(rpc: &Rpc, call: &Call, asked: RevokeConsent) -> Result<Created<Consent>, Error> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), asked.id);
    let request = |request_id| call.request(OPERATION, request_id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let mut access = rpc.access(call, Action::REVOKE_CONSENT);
    access.resource = Some(id.name());
    let act = move |conn: &mut PgConnection| {
        let mut consent = consents::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        consent.revoke(now)?;
        consents::update(conn, tenant, &consent)?;
        let mut access = access.clone();
        access.subject = Some(consent.subject);
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "consent.revoked", id.name(), now);
        events::record(conn, tenant, &event.with("subject", consent.subject.name()))?;
        Ok(consent)
    };
    match rpc.once(call, "revoke_consent", request, id.name(), act).await? {
        Once::Done(consent) => Ok(Created::Now(consent)),
        Once::Replayed(_) => Ok(Created::Before(grant_consent::find(rpc, call, id).await?)),
    }
}
