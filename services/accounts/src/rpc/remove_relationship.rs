//! `RemoveRelationship`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::problem::Problem;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::add_relationship::{find, parse_name};
use super::{Rpc, encode};
use crate::domain::{CustomerId, Relationship, RelationshipId};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::relationships;

const OPERATION: &str = "remove-relationship";

#[derive(Serialize)]
struct RemoveRelationship {
    customer: CustomerId,
    id: RelationshipId,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RemoveRelationshipRequest>,
) -> Result<Response<wire::Relationship>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::relationship))
}

fn decode(request: wire::RemoveRelationshipRequest) -> Decoded<RemoveRelationship> {
    let (customer, id) = parse_name(&request.name).at("name")?;
    let request_id = field::required_request_id(request.request_id).at("request_id")?;
    Ok(RemoveRelationship { customer, id, name: request.name, request_id })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: RemoveRelationship,
) -> Result<Created<Relationship>, Error> {
    let (tenant, now, name) = (call.tenant_id()?, rpc.clock.now(), command.name.clone());
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let act = move |conn: &mut PgConnection| {
        let found = relationships::lock(conn, tenant, command.id)?;
        let found = found.filter(|found| found.customer == command.customer);
        let not_found = || Problem::not_found("relationship", &command.name);
        let mut relationship = found.ok_or_else(not_found)?;
        relationship.remove(now)?;
        relationships::update_end(conn, tenant, &relationship)?;
        let event = Event::new(tenant, "relationship.removed", relationship.name(), now)
            .with("customer", relationship.customer.name())
            .with("kind", relationship.kind.name())
            .with("other", relationship.other.name());
        events::record(conn, tenant, &event)?;
        Ok(relationship)
    };
    match rpc.once(call, "remove_relationship", request, name.clone(), act).await? {
        Once::Done(relationship) => Ok(Created::Now(relationship)),
        Once::Replayed(_) => find(rpc, call, &name).await.map(Created::Before),
    }
}
