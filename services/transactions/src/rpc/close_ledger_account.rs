//! `LedgerService.CloseLedgerAccount`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::lane::Priority;
use shared::money::Units;
use shared::outcome::{Once, once};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{AccountId, CLOSED, LedgerAccount};
use crate::engine::{Ask, Job, submit};
use crate::error::Error;
use crate::store::ledger_accounts;

const OPERATION: &str = "close-ledger-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CloseLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let close = decode(request.into_inner())?;
    Ok(handle(rpc, &call, close).await?)
}

#[derive(Serialize)]
struct Close {
    id: AccountId,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::CloseLedgerAccountRequest) -> Decoded<Close> {
    Ok(Close {
        id: AccountId::parse_name(&request.name).at("name")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    close: Close,
) -> Result<Response<wire::LedgerAccount>, Problem> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), close.id);
    if close.validate_only {
        let account = rpc.account(call, id).await?;
        let account = if account.close_time.is_some() { account } else { closed(account, now)? };
        return Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)));
    }
    settle_expired(rpc, call, id).await?;
    let request = |id| call.request(OPERATION, id, &close, &rpc.clock);
    let request = close.request_id.clone().map(request).transpose()?;
    // The lock orders this against every posting: one that comes later finds the account closed.
    let write = move |conn: &mut PgConnection| {
        let locked = ledger_accounts::lock(conn, tenant, &BTreeSet::from([id]), &[])?;
        let account = locked.accounts.into_values().next().ok_or_else(|| id.not_found())?;
        if account.close_time.is_some() {
            return Ok(account);
        }
        let account = closed(account, now)?;
        ledger_accounts::close(conn, tenant, &account)?;
        ledger_accounts::record(conn, tenant, CLOSED, &account, None)?;
        Ok::<_, Error>(account)
    };
    let done = once(&rpc.db, "close_ledger_account", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(account) => {
            Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)))
        }
        Once::Replayed(_) => {
            let account = rpc.account(call, id).await?;
            Ok(replayed(encode::ledger_account(&account, now, rpc.timeline)))
        }
    }
}

/// Has the engine settle the expired holds of an account: they keep nothing back any more, and the
/// row has to say so before it can be closed.
async fn settle_expired(rpc: &Rpc, call: &Call, id: AccountId) -> Result<(), Problem> {
    let tenant = std::sync::Arc::clone(call.tenant()?);
    let job = Job { tenant, ask: Ask::Expire(BTreeSet::from([id])) };
    submit(&rpc.lanes, job, call.deadline, Priority::Normal).await?;
    Ok(())
}

/// The account as closed, if it is empty.
fn closed(mut account: LedgerAccount, now: Timestamp) -> Result<LedgerAccount, Error> {
    if account.posted() == Units::ZERO && account.held == Units::ZERO {
        account.touch(now.max(account.record_time.next()));
        account.close_time = Some(account.record_time);
        return Ok(account);
    }
    let message = format!("{} is not empty.", account.id);
    let problem = Problem::new(Reason::AccountNotEmpty, message)
        .figure("account", account.id)
        .figure("currency", account.currency)
        .figure("posted", account.posted().major(account.currency))
        .figure("held", account.held.major(account.currency));
    Err(problem.into())
}
