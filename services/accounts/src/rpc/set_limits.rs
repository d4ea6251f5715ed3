//! `SetLimits`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::money::Currency;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, encode, limits};
use crate::domain::{AccountId, Limit, Position};
use crate::error::Error;
use crate::store::accounts;
use crate::store::events::{self, Event};

const OPERATION: &str = "set-limits";

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct SetLimits {
    id: AccountId,
    limits: Vec<Limit>,
    etag: String,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SetLimitsRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let id = AccountId::parse_name(&request.name).at("name")?;
    // Amounts are in the currency of the account, which stays the same for good.
    let currency = rpc.position(&call, id).await?.account.terms.currency;
    let command = decode(request, id, currency)?;
    let set = handle(rpc, &call, command).await?;
    Ok(set.respond(|position| encode::account(&position, rpc.clock.now())))
}

fn decode(
    request: wire::SetLimitsRequest,
    id: AccountId,
    currency: Currency,
) -> Decoded<SetLimits> {
    Ok(SetLimits {
        id,
        limits: limits::decode(request.limits, currency)?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: SetLimits) -> Result<Created<Position>, Error> {
    let (id, limits) = (command.id, command.limits.clone());
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let validate_only = command.validate_only;
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| set(conn, begin, &command);
    if validate_only {
        rpc.would(call, "check_limits", request, act).await?;
        let mut position = rpc.position(call, id).await?;
        position.account.limits = limits;
        return Ok(Created::Now(position));
    }
    let set = rpc.control(call, "set_limits", request, id.name(), act).await?;
    Ok(set.with(rpc.position(call, id).await?))
}

fn set(conn: &mut PgConnection, begin: &Begin<'_>, command: &SetLimits) -> Result<(), Error> {
    let (tenant, id) = (begin.tenant, command.id);
    let mut account = accounts::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    encode::check_etag(&command.etag, account.version, &id.name())?;
    account.allow_change()?;
    account.limits.clone_from(&command.limits);
    account.change(begin.now());
    accounts::update(conn, tenant, &account)?;
    begin.change(conn, &[id])?;
    let ids: Vec<&str> = account.limits.iter().map(|limit| limit.id.as_str()).collect();
    let event = Event::of_account(tenant, "account.limitsSet", &account).with("limits", ids);
    Ok(events::record(conn, tenant, &event)?)
}
