//! `KeyService.GetRotation`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::rotation::{Rotation, RotationId};
use crate::error::Error;
use crate::store::rotations;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetRotationRequest>,
) -> Result<Response<wire::Rotation>, Status> {
    let call = Call::of(&request)?;
    let id = RotationId::parse_name(&request.get_ref().name).at("name")?;
    Ok(Response::new(encode::rotation(handle(rpc, &call, id).await?)))
}

async fn handle(rpc: &Rpc, call: &Call, id: RotationId) -> Result<Rotation, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = rotations::select(conn, tenant, id)?;
        found.ok_or_else(|| id.not_found().into())
    };
    rpc.db.read("get_rotation", call.scope(), read).await
}
