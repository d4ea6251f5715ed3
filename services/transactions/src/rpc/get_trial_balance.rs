//! `GetTrialBalance`.

use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::GetTrialBalanceRequest>,
) -> Result<Response<wire::TrialBalance>, Status> {
    Err(Status::unimplemented("GetTrialBalance"))
}
