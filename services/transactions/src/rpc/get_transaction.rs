//! `TransactionService.GetTransaction`.

use shared::field::At as _;
use shared::grpc::Call;
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{BatchId, TransactionId};
use crate::error::Error;
use crate::store::transactions::{self, StoredTransaction};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let id = TransactionId::parse_name(&request.get_ref().name).at("name")?;
    Ok(Response::new(encode::transaction(find(rpc, &call, id).await?)))
}

/// A transaction of the caller's tenant, or `RESOURCE_NOT_FOUND`.
pub(super) async fn find(
    rpc: &Rpc,
    call: &Call,
    id: TransactionId,
) -> Result<StoredTransaction, Problem> {
    let tenant = call.tenant_id()?;
    let read = rpc
        .db
        .read("get_transaction", call.scope(), move |conn| transactions::select(conn, tenant, id));
    read.await?.ok_or_else(|| id.not_found())
}

/// The transactions of a batch, in their order.
pub(super) async fn find_batch(
    rpc: &Rpc,
    call: &Call,
    id: BatchId,
) -> Result<Vec<StoredTransaction>, Problem> {
    let tenant = call.tenant_id()?;
    let read = rpc.db.read("get_batch", call.scope(), move |conn| {
        let mut found = Vec::new();
        for id in transactions::of_batch(conn, tenant, id)? {
            found.extend(transactions::select(conn, tenant, id)?);
        }
        Ok::<_, Error>(found)
    });
    Ok(read.await?)
}
