//! `StatementService.ReopenPeriod`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::periods::{Asked, change};
use crate::domain::{Month, Step};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReopenPeriodRequest>,
) -> Result<Response<wire::Period>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(change(rpc, &call, asked).await?)
}

fn decode(request: wire::ReopenPeriodRequest) -> Decoded<Asked> {
    Ok(Asked {
        step: Step::Reopen,
        month: Month::parse_name(&request.name).at("name")?,
        reason_code: Some(field::code(request.reason_code).at("reason_code")?),
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}
