//! `VerifyBooks`.

use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

/// How far it is, again and again.
pub(crate) type Progress =
    futures_util::stream::BoxStream<'static, Result<wire::VerifyBooksResponse, Status>>;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::VerifyBooksRequest>,
) -> Result<Response<Progress>, Status> {
    Err(Status::unimplemented("VerifyBooks"))
}
