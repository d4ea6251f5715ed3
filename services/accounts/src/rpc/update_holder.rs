//! `AccountService.UpdateHolder`.

use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::UpdateHolderRequest>,
) -> Result<Response<wire::Holder>, Status> {
    Err(Status::unimplemented("NOT YET"))
}
