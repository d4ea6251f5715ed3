//! `LedgerService.SetLedgerControls`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::money::{Currencies, Currency};
use shared::outcome::{Once, once};
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, decode, encode};
use crate::domain::{AccountId, CONTROLLED, Controls, LedgerAccount, SOURCES_MAX, merge};
use crate::error::Error;
use crate::store::ledger_accounts;

const OPERATION: &str = "set-ledger-controls";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SetLedgerControlsRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), known);
    let asked = rpc.currencies.decode(&call, read).await?;
    Ok(handle(rpc, &call, asked).await?)
}

#[derive(Clone, Serialize)]
struct SetControls {
    id: AccountId,
    controls: Controls,
    /// The currencies of the amounts, by their fields.
    currencies: Vec<(String, Currency)>,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::SetLedgerControlsRequest, known: &Currencies) -> Decoded<SetControls> {
    let id = AccountId::parse_name(&request.name).at("name")?;
    let controls = field::required(request.controls).at("controls")?;
    let (controls, currencies) = decode::controls(controls, known).at("controls")?;
    Ok(SetControls {
        id,
        controls,
        currencies,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    asked: SetControls,
) -> Result<Response<wire::LedgerAccount>, Problem> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    if asked.validate_only {
        let read = rpc.db.read("validate_ledger_controls", call.scope(), move |conn| {
            let ids = BTreeSet::from([asked.id]);
            let found = ledger_accounts::select_now(conn, tenant, &ids, now)?.into_values().next();
            replace(found.ok_or_else(|| asked.id.not_found())?, &asked, now)
        });
        let (account, _) = read.await?;
        return Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)));
    }
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let id = asked.id;
    // The lock orders this against every posting: one that comes later sees the controls.
    let write = move |conn: &mut PgConnection| {
        let ids = BTreeSet::from([asked.id]);
        let locked = ledger_accounts::lock(conn, tenant, &ids)?;
        let account = locked.accounts.into_values().next().ok_or_else(|| asked.id.not_found())?;
        let (mut account, changed) = replace(account, &asked, now)?;
        if changed {
            ledger_accounts::update_controls(conn, tenant, &account)?;
            let source = Some(asked.controls.source.as_str());
            ledger_accounts::record(conn, tenant, CONTROLLED, &account, source)?;
        }
        ledger_accounts::as_of(conn, tenant, [&mut account], now)?;
        Ok::<_, Error>(account)
    };
    let done = once(&rpc.db, "set_ledger_controls", call.scope(), request, id.name(), write);
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

/// The account with the controls of one source replaced, and whether that changes it.
fn replace(
    mut account: LedgerAccount,
    asked: &SetControls,
    now: Timestamp,
) -> Result<(LedgerAccount, bool), Error> {
    decode::in_currency(&asked.currencies, account.currency)
        .at("controls")
        .map_err(|problem| problem.figure("account", account.id))?;
    let is_new = account.controls.iter().all(|other| other.source != asked.controls.source);
    if is_new && account.controls.len() >= SOURCES_MAX {
        let sentence = format!("must be one of the {SOURCES_MAX} that the account has");
        return Err(invalid(sentence).in_field("controls.source").into());
    }
    let changed = merge(&mut account.controls, asked.controls.clone());
    if changed {
        account.version += 1;
        account.record_time = now.max(account.record_time.next());
    }
    Ok((account, changed))
}
