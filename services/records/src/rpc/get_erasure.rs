//! `SubjectService.GetErasure`.

use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, erasures};
use crate::domain::erasure::ErasureName;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetErasureRequest>,
) -> Result<Response<wire::Erasure>, Status> {
    let call = Call::of(&request)?;
    let name = ErasureName::parse(&request.get_ref().name).at("name")?;
    Ok(Response::new(erasures::shown(erasures::find(rpc, &call, name).await?)))
}
