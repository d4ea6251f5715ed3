//! `LedgerService.SetLedgerControls`.

use std::collections::BTreeSet;

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, decode, encode};
use crate::domain::{AccountId, Controls, LedgerAccount, merge};
use crate::error::Error;
use crate::store::ledger_accounts;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SetLedgerControlsRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let asked = request.into_inner();
    let id = AccountId::parse_name(&asked.name).at("name")?;
    let controls = field::required(asked.controls).and_then(decode_with_currency).at("controls")?;
    let account = handle(rpc, &call, id, controls, asked.validate_only).await?;
    Ok(Response::new(encode::ledger_account(&account, rpc.clock.now())))
}

/// The controls, and the currencies of their amounts.
struct Asked {
    controls: Controls,
    currencies: Vec<(usize, String)>,
}

fn decode_with_currency(wire: wire::Controls) -> Decoded<Asked> {
    let currencies = wire
        .blocks
        .iter()
        .enumerate()
        .filter_map(|(index, block)| Some((index, block.amount.as_ref()?.currency.clone())))
        .collect();
    Ok(Asked { controls: decode::controls(wire)?, currencies })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    id: AccountId,
    asked: Asked,
    validate_only: bool,
) -> Result<LedgerAccount, Problem> {
    let tenant = call.tenant_id()?;
    let now = rpc.clock.now();
    let replace = move |conn: &mut diesel::PgConnection| {
        let mut account = match validate_only {
            true => ledger_accounts::select(conn, tenant, id)?,
            false => ledger_accounts::lock(conn, tenant, &BTreeSet::from([id]))?.remove(&id),
        }
        .ok_or_else(|| id.not_found())?;
        check_currencies(&account, &asked.currencies)?;
        if merge(&mut account.controls, asked.controls.clone()) {
            account.version += 1;
            account.record_time = now.max(next(account.record_time));
            if !validate_only {
                ledger_accounts::update_controls(conn, tenant, &account)?;
            }
        }
        Ok::<_, Error>(account)
    };
    // The lock orders this against every posting: one that comes later sees the controls.
    let done = match validate_only {
        true => rpc.db.read("validate_ledger_controls", call.scope(), replace).await,
        false => rpc.db.write("set_ledger_controls", call.scope(), replace).await,
    };
    Ok(done?)
}

fn next(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros() + 1)
}

fn check_currencies(account: &LedgerAccount, found: &[(usize, String)]) -> Decoded<()> {
    let expected = account.currency.code();
    match found.iter().find(|(_, currency)| currency != expected) {
        None => Ok(()),
        Some((index, currency)) => {
            let mut problem =
                invalid(format!("must be in {expected}, the currency of the account"));
            problem.reason = shared::problem::Reason::CurrencyMismatch;
            let problem = problem
                .figure("account", account.id)
                .figure("currency", currency)
                .figure("expected", expected);
            Err(Box::new(problem)).at("amount.currency").at_index("controls.blocks", *index)
        }
    }
}
