//! `GetStatement`.

use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::GetStatementRequest>,
) -> Result<Response<wire::Statement>, Status> {
    Err(Status::unimplemented("GetStatement"))
}
