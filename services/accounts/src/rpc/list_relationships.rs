//! `ListRelationships`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{CustomerId, Relationship, RelationshipPosition};
use crate::error::Error;
use crate::store::{customers, relationships};

const QUERY: &str = "list-relationships";

struct ListRelationships {
    customer: CustomerId,
    show_ended: bool,
    page: Page<RelationshipPosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRelationshipsRequest>,
) -> Result<Response<wire::ListRelationshipsResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let found = handle(rpc, &call, &list).await?;
    let (relationships, next_page_token) =
        list.page.fill(found, rpc.message_bytes_max, Relationship::position, encode::relationship);
    Ok(Response::new(wire::ListRelationshipsResponse { relationships, next_page_token }))
}

fn decode(request: &wire::ListRelationshipsRequest, call: &Call) -> Decoded<ListRelationships> {
    let (tenant, show_ended) = (call.tenant()?, request.show_ended);
    let customer = CustomerId::parse_name(&request.parent).at("parent")?;
    let arguments = (tenant.id, customer, show_ended);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    Ok(ListRelationships { customer, show_ended, page })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListRelationships,
) -> Result<Found<Relationship, RelationshipPosition>, Error> {
    let (tenant, now, customer) = (call.tenant_id()?, rpc.clock.now(), list.customer);
    let (page, show_ended) = (list.page.clone(), list.show_ended);
    let read = move |conn: &mut PgConnection| {
        let found = customers::select(conn, tenant, customer)?;
        found.ok_or_else(|| customer.not_found())?;
        let candidates = |after: Option<&RelationshipPosition>, limit| {
            relationships::list(conn, tenant, customer, after, limit)
        };
        let is_shown = |found: &Relationship| show_ended || !found.span.is_over(now);
        Ok::<_, Error>(Found::among(&page, candidates, Relationship::position, is_shown)?)
    };
    rpc.db.read("list_relationships", call.scope(), read).await
}
