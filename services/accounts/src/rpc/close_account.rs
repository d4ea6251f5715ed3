//! `CloseAccount`: CLOSING, then the ledger decides, and moves what is left in the same act. A
//! refusal of the ledger is the answer for good, and the account is OPEN again.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::create_account::mismatch;
use super::{Rpc, encode};
use crate::deliverer::{self, CLOSE};
use crate::domain::{Account, AccountId, AccountState, NotAllowed, Position};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accounts, positions};

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct CloseAccount {
    id: AccountId,
    disposition: Option<AccountId>,
    etag: String,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CloseAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let closed = handle(rpc, &call, command).await?;
    Ok(closed.respond(|position| encode::account(&position, rpc.clock.now())))
}

fn decode(request: wire::CloseAccountRequest) -> Decoded<CloseAccount> {
    let id = AccountId::parse_name(&request.name).at("name")?;
    Ok(CloseAccount {
        id,
        disposition: disposition(&request.disposition_account, id).at("disposition_account")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}

fn disposition(name: &str, id: AccountId) -> Decoded<Option<AccountId>> {
    if name.is_empty() {
        return Ok(None);
    }
    match AccountId::parse_name(name)? {
        same if same == id => Err(invalid("must be another account")),
        other => Ok(Some(other)),
    }
}

async fn handle(rpc: &Rpc, call: &Call, command: CloseAccount) -> Result<Created<Position>, Error> {
    let id = command.id;
    let request = call.request(CLOSE, command.request_id.clone(), &command, &rpc.clock)?;
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| close(conn, begin, &command);
    let closed = rpc.control(call, "close_account", request, id.name(), act).await?;
    Ok(closed.with(rpc.position(call, id).await?))
}

/// The first transaction. A freeze that comes after it stops the closing.
fn close(conn: &mut PgConnection, begin: &Begin<'_>, command: &CloseAccount) -> Result<(), Error> {
    let (tenant, now, id) = (begin.tenant, begin.now(), command.id);
    let ids: Vec<AccountId> = command.disposition.into_iter().chain([id]).collect();
    let mut locked = accounts::lock_all(conn, tenant, &ids)?;
    let mut account = locked.remove(&id).ok_or_else(|| id.not_found())?;
    encode::check_etag(&command.etag, account.version, &id.name())?;
    account.begin_closing(command.disposition, now)?;
    if let Some(id) = command.disposition {
        let disposition = locked.get(&id).ok_or_else(|| id.not_found())?;
        check_disposition(&account, disposition)?;
    }
    let positions = positions::of(conn, tenant, vec![account.clone()], now)?;
    if let Some(freeze) = positions.iter().find_map(|position| position.frozen(now)) {
        return Err(deliverer::blocked(id, freeze).into());
    }
    accounts::update(conn, tenant, &account)?;
    begin.change(conn, &[id])?;
    let event = Event::of_account(tenant, "account.closing", &account);
    let disposition = command.disposition.map(AccountId::name);
    Ok(events::record(conn, tenant, &event.with("disposition", disposition))?)
}

/// Whether what is left can go to an account: in its currency, and while the ledger has it open.
fn check_disposition(account: &Account, disposition: &Account) -> Result<(), Error> {
    let (currency, other) = (account.terms.currency, disposition.terms.currency);
    if other != currency {
        return Err(mismatch(other, currency)).at("disposition_account").map_err(Error::from);
    }
    match disposition.state {
        AccountState::Open | AccountState::Dormant => Ok(()),
        state => {
            let open = [AccountState::Open, AccountState::Dormant];
            let (what, allowed) = ("disposition account", open.map(AccountState::name).to_vec());
            Err(NotAllowed { what, state: state.name(), allowed }.into())
        }
    }
}
