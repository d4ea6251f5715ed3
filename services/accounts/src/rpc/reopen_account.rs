//! `ReopenAccount`: OPEN, then the ledger opens it too, with all that stops it by then.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, encode};
use crate::domain::{AccountId, Customer, CustomerId, Position};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, accounts, customers};

const OPERATION: &str = "reopen-account";

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct ReopenAccount {
    id: AccountId,
    etag: String,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReopenAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let reopened = handle(rpc, &call, command).await?;
    Ok(reopened.respond(|position| encode::account(&position, rpc.clock.now())))
}

fn decode(request: wire::ReopenAccountRequest) -> Decoded<ReopenAccount> {
    Ok(ReopenAccount {
        id: AccountId::parse_name(&request.name).at("name")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: ReopenAccount,
) -> Result<Created<Position>, Error> {
    let (id, window) = (command.id, rpc.reopen_window);
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let act =
        move |conn: &mut PgConnection, begin: &Begin<'_>| reopen(conn, begin, &command, window);
    let reopened = rpc.control(call, "reopen_account", request, id.name(), act).await?;
    Ok(reopened.with(rpc.position(call, id).await?))
}

/// The first transaction. What stops a customer leaves closed accounts out, so all whose state
/// stops this one stay as they are meanwhile: what stops them from then on finds the account open.
fn reopen(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    command: &ReopenAccount,
    window: Duration,
) -> Result<(), Error> {
    let (tenant, id) = (begin.tenant, command.id);
    let principals = principals(conn, begin, id)?;
    let mut held = Vec::with_capacity(principals.len());
    for customer in &principals {
        held.extend(customers::hold(conn, tenant, *customer)?);
    }
    let mut account = accounts::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    encode::check_etag(&command.etag, account.version, &id.name())?;
    account.reopen(window, begin.now())?;
    let owner = held.iter().find(|customer| Some(customer.id) == account.terms.customer);
    owner.map_or(Ok(()), Customer::allow_account)?;
    // Nobody comes to hold a closed account: somebody did so while it was still open.
    if self::principals(conn, begin, id)? != principals {
        let message = format!("Who holds {id} changed at the same time.");
        return Err(Problem::new(Reason::Contention, message).into());
    }
    accounts::update(conn, tenant, &account)?;
    begin.change(conn, &[id])?;
    let event = Event::of_account(tenant, "account.reopened", &account);
    Ok(events::record(conn, tenant, &event)?)
}

/// Whose state stops the account, in the order in which customers are locked.
fn principals(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    id: AccountId,
) -> Result<BTreeSet<CustomerId>, Error> {
    let holders = account_holders::select(conn, begin.tenant, &[id], begin.now())?;
    let principals = holders.iter().filter(|holder| holder.role.is_principal());
    Ok(principals.map(|holder| holder.customer).collect())
}
