//! `RenderStatement`.

use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;

/// The pieces of a document.
pub(crate) type Pieces = futures_util::stream::BoxStream<
    'static,
    Result<strongroom_proto::google_api::HttpBody, Status>,
>;

pub(super) async fn call(
    _rpc: &Rpc,
    _request: Request<wire::RenderStatementRequest>,
) -> Result<Response<Pieces>, Status> {
    Err(Status::unimplemented("RenderStatement"))
}
