//! `ListKycDecisions`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{CustomerId, KycDecision, KycDecisionId};
use crate::error::Error;
use crate::store::{customers, kyc_decisions};

const QUERY: &str = "list-kyc-decisions";

struct ListKycDecisions {
    customer: CustomerId,
    page: Page<KycDecisionId>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListKycDecisionsRequest>,
) -> Result<Response<wire::ListKycDecisionsResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let found = handle(rpc, &call, &list).await?;
    let (kyc_decisions, next_page_token) = list.page.fill(
        found,
        rpc.message_bytes_max,
        |decision: &KycDecision| decision.id,
        encode::kyc_decision,
    );
    Ok(Response::new(wire::ListKycDecisionsResponse { kyc_decisions, next_page_token }))
}

fn decode(request: &wire::ListKycDecisionsRequest, call: &Call) -> Decoded<ListKycDecisions> {
    let tenant = call.tenant()?;
    let customer = CustomerId::parse_name(&request.parent).at("parent")?;
    let arguments = (tenant.id, customer);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    Ok(ListKycDecisions { customer, page })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListKycDecisions,
) -> Result<Found<KycDecision, KycDecisionId>, Error> {
    let (tenant, customer) = (call.tenant_id()?, list.customer);
    let (after, limit) = (list.page.after, list.page.limit());
    let read = move |conn: &mut PgConnection| {
        let found = customers::select(conn, tenant, customer)?;
        found.ok_or_else(|| customer.not_found())?;
        Ok::<_, Error>(kyc_decisions::list(conn, tenant, customer, after, limit)?)
    };
    let found = rpc.db.read("list_kyc_decisions", call.scope(), read).await?;
    Ok(Found::all(found))
}
