//! `GetAccount`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, own_customer};
use crate::domain::{AccountId, Position};
use crate::error::Error;
use crate::store::{account_holders, positions};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let id = decode(request.get_ref())?;
    let position = handle(rpc, &call, id).await?;
    Ok(Response::new(encode::account(&position, rpc.clock.now())))
}

fn decode(request: &wire::GetAccountRequest) -> Decoded<AccountId> {
    AccountId::parse_name(&request.name).at("name")
}

async fn handle(rpc: &Rpc, call: &Call, id: AccountId) -> Result<Position, Error> {
    let own = own_customer(call)?;
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let read = move |conn: &mut PgConnection| {
        let position = positions::select(conn, tenant, id, now)?;
        if let Some(own) = own
            && !account_holders::holds(conn, tenant, own, &[id], now)?.contains(&id)
        {
            return Ok(None);
        }
        Ok::<_, Error>(position)
    };
    let position = rpc.db.read("get_account", call.scope(), read).await?;
    Ok(position.ok_or_else(|| id.not_found())?)
}
