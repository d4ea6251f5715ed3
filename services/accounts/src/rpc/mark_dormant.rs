//! `MarkDormant`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::account_turning::{Turn, turn};
use crate::domain::{Account, AccountId};

const OPERATION: &str = "mark-dormant";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::MarkDormantRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(turn(rpc, &call, OPERATION, command).await?)
}

fn decode(request: wire::MarkDormantRequest) -> Decoded<Turn> {
    Ok(Turn {
        id: AccountId::parse_name(&request.name).at("name")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        act: Account::mark_dormant,
        event: "account.dormant",
    })
}
