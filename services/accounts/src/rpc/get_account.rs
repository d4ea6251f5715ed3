//! `GetAccount`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, own_customer};
use crate::domain::{Account, AccountId};
use crate::error::Error;
use crate::store::accounts;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let id = decode(request.get_ref())?;
    let account = handle(rpc, &call, id).await?;
    Ok(Response::new(encode::account(account)))
}

fn decode(request: &wire::GetAccountRequest) -> Decoded<AccountId> {
    AccountId::parse_name(&request.name).at("name")
}

async fn handle(rpc: &Rpc, call: &Call, id: AccountId) -> Result<Account, Error> {
    let (tenant, own) = (call.tenant_id()?, own_customer(call)?);
    let read = move |conn: &mut PgConnection| accounts::select(conn, tenant, id);
    let found = rpc.db.read("get_account", call.scope(), read).await?;
    let readable = |account: &Account| own.is_none_or(|own| account.terms.customer == Some(own));
    Ok(found.filter(readable).ok_or_else(|| id.not_found())?)
}
