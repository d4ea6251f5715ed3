//! `LedgerService.ReopenLedgerAccount`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{AccountId, LedgerAccount, REOPENED};
use crate::error::Error;
use crate::store::ledger_accounts;

const OPERATION: &str = "reopen-ledger-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ReopenLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let reopen = decode(request.into_inner())?;
    Ok(handle(rpc, &call, reopen).await?)
}

#[derive(Serialize)]
struct Reopen {
    id: AccountId,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::ReopenLedgerAccountRequest) -> Decoded<Reopen> {
    Ok(Reopen {
        id: AccountId::parse_name(&request.name).at("name")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    reopen: Reopen,
) -> Result<Response<wire::LedgerAccount>, Problem> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), reopen.id);
    if reopen.validate_only {
        let account = rpc.account(call, id).await?;
        let (account, _) = reopened(account, now);
        return Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)));
    }
    let request = |id| call.request(OPERATION, id, &reopen, &rpc.clock);
    let request = reopen.request_id.clone().map(request).transpose()?;
    let write = move |conn: &mut PgConnection| {
        let locked = ledger_accounts::lock(conn, tenant, &BTreeSet::from([id]))?;
        let account = locked.accounts.into_values().next().ok_or_else(|| id.not_found())?;
        let (mut account, changed) = reopened(account, now);
        if changed {
            ledger_accounts::update_close_time(conn, tenant, &account)?;
            ledger_accounts::record(conn, tenant, REOPENED, &account, None)?;
        }
        ledger_accounts::as_of(conn, tenant, [&mut account], now)?;
        Ok::<_, Error>(account)
    };
    let done = once(&rpc.db, "reopen_ledger_account", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(account) => {
            rpc.nudge.tenant(tenant);
            Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)))
        }
        Once::Replayed(_) => {
            let account = rpc.account(call, id).await?;
            Ok(replayed(encode::ledger_account(&account, now, rpc.timeline)))
        }
    }
}

/// The account as open, and whether that changes it.
fn reopened(mut account: LedgerAccount, now: Timestamp) -> (LedgerAccount, bool) {
    let changed = account.close_time.take().is_some();
    if changed {
        account.touch(now.max(account.record_time.next()));
    }
    (account, changed)
}
