//! `LedgerService.GetLedgerAccount`.

use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::AccountId;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let id = AccountId::parse_name(&request.get_ref().name).at("name")?;
    let account = rpc.account(&call, id).await?;
    Ok(Response::new(encode::ledger_account(&account, rpc.clock.now(), rpc.timeline)))
}
