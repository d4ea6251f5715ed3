//! `StatementService.GetStatement`.

use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, statements};
use crate::domain::StatementName;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetStatementRequest>,
) -> Result<Response<wire::Statement>, Status> {
    let call = Call::of(&request)?;
    let name = StatementName::parse(&request.get_ref().name).at("name")?;
    let found = statements::find(rpc, &call, name).await?;
    Ok(Response::new(statements::statement(found)))
}
