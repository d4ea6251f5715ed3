//! `RemoveHolder`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, encode, holders};
use crate::domain::{AccountId, CustomerId, Holder, holder_name, parse_holder_name};
use crate::error::Error;
use crate::store::account_holders;

const OPERATION: &str = "remove-holder";

#[derive(Serialize)]
struct RemoveHolder {
    account: AccountId,
    customer: CustomerId,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RemoveHolderRequest>,
) -> Result<Response<wire::Holder>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::holder))
}

fn decode(request: wire::RemoveHolderRequest) -> Decoded<RemoveHolder> {
    let (account, customer) = parse_holder_name(&request.name).at("name")?;
    let request_id = field::required_request_id(request.request_id).at("request_id")?;
    Ok(RemoveHolder { account, customer, request_id })
}

async fn handle(rpc: &Rpc, call: &Call, command: RemoveHolder) -> Result<Created<Holder>, Error> {
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let RemoveHolder { account, customer, .. } = command;
    let name = holder_name(account, customer);
    let act =
        move |conn: &mut PgConnection, begin: &Begin<'_>| remove(conn, begin, account, customer);
    let removed = rpc.control(call, "remove_holder", request, name, act).await?;
    Ok(removed.with(holders::read(rpc, call, account, customer).await?))
}

/// The customer is not kept as it is: whatever becomes of it meanwhile, the ledger is told of the
/// account without it.
fn remove(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    account: AccountId,
    customer: CustomerId,
) -> Result<(), Error> {
    let (tenant, now) = (begin.tenant, begin.now());
    let account = holders::lock(conn, tenant, account)?;
    let before = holders::find(conn, tenant, &account, customer, "name", now)?;
    let mut after = before;
    after.remove(now)?;
    account_holders::update(conn, tenant, &after)?;
    if after.stops_otherwise_than(before) {
        begin.change(conn, &[account.id])?;
    }
    holders::record(conn, begin, "holder.removed", after, &[])
}
