//! `LedgerService.CloseLedgerAccount`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::lane::Priority;
use shared::outcome::{Once, once};
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::closing::Closing;
use super::introduce::introduce;
use super::orders::{hide_balances, sees_balances};
use super::{Rpc, encode};
use crate::domain::AccountId;
use crate::engine::{Ask, Job, submit};

const OPERATION: &str = "close-ledger-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CloseLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let close = decode(request.into_inner())?;
    Ok(handle(rpc, &call, close).await.map_err(|problem| tell(&call, problem))?)
}

#[derive(Serialize)]
struct Close {
    id: AccountId,
    // Left out of the hash where it is absent: stored hashes stay good.
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition: Option<AccountId>,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::CloseLedgerAccountRequest) -> Decoded<Close> {
    let id = AccountId::parse_name(&request.name).at("name")?;
    Ok(Close {
        id,
        disposition: disposition(id, &request.disposition_account).at("disposition_account")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

fn disposition(id: AccountId, name: &str) -> Decoded<Option<AccountId>> {
    if name.is_empty() {
        return Ok(None);
    }
    match AccountId::parse_name(name)? {
        other if other == id => Err(invalid("must be another account")),
        other => Ok(Some(other)),
    }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    close: Close,
) -> Result<Response<wire::LedgerAccount>, Problem> {
    let (id, clock) = (close.id, rpc.clock.clone());
    // What accounts has just opened may not have reached the ledger yet.
    if let Some(disposition) = close.disposition {
        introduce(rpc, call, BTreeSet::from([disposition])).await?;
    }
    let closing = Closing::new(rpc, call, id, close.disposition, &close)?;
    if close.validate_only {
        let preview = move |conn: &mut PgConnection| closing.preview(conn, clock.now());
        let account = rpc.db.read("validate_closing", call.scope(), preview).await?;
        let account = encode::ledger_account(&account, rpc.clock.now(), rpc.timeline);
        return Ok(Response::new(account));
    }
    settle_expired(rpc, call, id).await?;
    let request = |id| call.request(OPERATION, id, &close, &rpc.clock);
    let request = close.request_id.clone().map(request).transpose()?;
    let tenant = call.tenant_id()?;
    let write = move |conn: &mut PgConnection| closing.close(conn, clock.now());
    let done = once(&rpc.db, "close_ledger_account", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(account) => {
            rpc.nudge.tenant(tenant);
            let account = encode::ledger_account(&account, rpc.clock.now(), rpc.timeline);
            Ok(Response::new(account))
        }
        Once::Replayed(_) => {
            let account = rpc.account(call, id).await?;
            Ok(replayed(encode::ledger_account(&account, rpc.clock.now(), rpc.timeline)))
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

/// A refusal without figures of the disposition account that the caller may not see.
fn tell(call: &Call, mut problem: Problem) -> Problem {
    if problem.reason == Reason::InsufficientFunds && !sees_balances(call) {
        hide_balances(&mut problem);
    }
    problem
}
