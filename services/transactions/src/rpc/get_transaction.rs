//! `TransactionService.GetTransaction`.

use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::TransactionId;
use crate::store::transactions;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let id = TransactionId::parse_name(&request.get_ref().name).at("name")?;
    let tenant = call.tenant_id()?;
    let read = rpc
        .db
        .read("get_transaction", call.scope(), move |conn| transactions::select(conn, tenant, id));
    let found = read.await?.ok_or_else(|| id.not_found())?;
    Ok(Response::new(encode::transaction(found, &call)))
}
