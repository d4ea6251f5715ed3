//! Dormancy and its end: both turn an account from one state to another, and the ledger has to
//! know.

use diesel::PgConnection;
use serde::Serialize;
use shared::grpc::Call;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::Response;

use super::control::Begin;
use super::{Rpc, encode};
use crate::domain::{Account, AccountId, NotAllowed};
use crate::error::Error;
use crate::store::accounts;
use crate::store::events::{self, Event};

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Turn {
    pub(super) id: AccountId,
    pub(super) etag: String,
    #[serde(skip)]
    pub(super) request_id: String,
    /// What becomes of the account.
    #[serde(skip)]
    pub(super) act: fn(&mut Account, Timestamp) -> Result<(), NotAllowed>,
    /// What the event is called.
    #[serde(skip)]
    pub(super) event: &'static str,
}

/// Turns the account, has the ledger know, and answers.
pub(super) async fn turn(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    turn: Turn,
) -> Result<Response<wire::Account>, Error> {
    let id = turn.id;
    let request = call.request(operation, turn.request_id.clone(), &turn, &rpc.clock)?;
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| write(conn, begin, &turn);
    let done = rpc.control(call, "turn_account", request, id.name(), act).await?;
    let answer = done.with(rpc.position(call, id).await?);
    Ok(answer.respond(|position| encode::account(&position, rpc.clock.now())))
}

fn write(conn: &mut PgConnection, begin: &Begin<'_>, turn: &Turn) -> Result<(), Error> {
    let (tenant, id) = (begin.tenant, turn.id);
    let mut account = accounts::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    encode::check_etag(&turn.etag, account.version, &id.name())?;
    (turn.act)(&mut account, begin.now())?;
    accounts::update(conn, tenant, &account)?;
    begin.change(conn, &[id])?;
    Ok(events::record(conn, tenant, &Event::of_account(tenant, turn.event, &account))?)
}
