//! `CustomerService.ListKycDecisions`.

use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::ListKycDecisionsRequest>,
) -> Result<Response<wire::ListKycDecisionsResponse>, Status> {
    Err(Status::unimplemented("NOT YET"))
}
