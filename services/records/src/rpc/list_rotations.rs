//! `KeyService.ListRotations`.

use diesel::PgConnection;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::rotation::{Rotation, RotationId};
use crate::error::Error;
use crate::store::rotations;

const QUERY: &str = "list-rotations";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRotationsRequest>,
) -> Result<Response<wire::ListRotationsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (size, token) = (request.get_ref().page_size, &request.get_ref().page_token);
    let page = Page::decode(&tenant.key, QUERY, &tenant.id, size, token)?;
    let found = handle(rpc, &call, &page).await?;
    let (rotations, next_page_token) =
        page.fill(found, rpc.message_bytes_max, |rotation| rotation.id, encode::rotation);
    Ok(Response::new(wire::ListRotationsResponse { rotations, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    page: &Page<RotationId>,
) -> Result<Found<Rotation, RotationId>, Error> {
    let (tenant, after, limit) = (call.tenant_id()?, page.after, page.limit());
    let read =
        move |conn: &mut PgConnection| Ok::<_, Error>(rotations::list(conn, tenant, after, limit)?);
    rpc.db.read("list_rotations", call.scope(), read).await.map(Found::all)
}
