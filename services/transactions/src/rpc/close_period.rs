//! `StatementService.ClosePeriod`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::periods::{Asked, change};
use crate::domain::{Month, Step};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ClosePeriodRequest>,
) -> Result<Response<wire::Period>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(change(rpc, &call, asked).await?)
}

fn decode(request: wire::ClosePeriodRequest) -> Decoded<Asked> {
    Ok(Asked {
        step: Step::Close,
        month: Month::parse_name(&request.name).at("name")?,
        reason_code: None,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}
