//! `LedgerService.RegisterLedgerAccount`.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, decode, encode};
use crate::domain::{AccountId, Controls, LedgerAccount, NewAccount, SOURCES_MAX};
use crate::error::Error;
use crate::store::ledger_accounts;

const OPERATION: &str = "register-ledger-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RegisterLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let register = decode(request.into_inner())?;
    Ok(handle(rpc, &call, register).await?)
}

struct Register {
    /// The id that the caller gave, which is part of what is asked for; a made one is not.
    chosen: Option<AccountId>,
    account: NewAccount,
    request_id: Option<String>,
    validate_only: bool,
}

fn decode(request: wire::RegisterLedgerAccountRequest) -> Decoded<Register> {
    let account = field::required(request.account).at("account")?;
    let chosen = AccountId::parse_chosen(&request.account_id).at("account_id")?;
    let controls = first_controls(request.controls, &account.currency)?;
    let id = chosen.unwrap_or_else(AccountId::generate);
    let class = account.class();
    let (currency, gl_code) = (account.currency, account.gl_code);
    Ok(Register {
        chosen,
        account: decode::account(id, &currency, class, gl_code, account.overdraft, controls)
            .at("account")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

/// One full state for each source: of two, one could never be replaced.
fn first_controls(wire: Vec<wire::Controls>, currency: &str) -> Decoded<Vec<Controls>> {
    if wire.len() > SOURCES_MAX {
        return Err(invalid(format!("must be of at most {SOURCES_MAX} sources"))).at("controls");
    }
    let mut all = Vec::with_capacity(wire.len());
    for (index, wire) in wire.into_iter().enumerate() {
        let found = decode::currencies(&wire);
        let controls = decode::controls(wire)
            .and_then(|controls| decode::in_currency(&found, currency).map(|()| controls))
            .at_index("controls", index)?;
        if all.iter().any(|other: &Controls| other.source == controls.source) {
            let repeated = invalid("must not be given twice");
            return Err(repeated).at("source").at_index("controls", index);
        }
        all.push(controls);
    }
    all.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(all)
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    register: Register,
) -> Result<Response<wire::LedgerAccount>, Problem> {
    let now = rpc.clock.now();
    let tenant = call.tenant_id()?;
    let (id, account) = (register.account.id, register.account.clone().open(now));
    if register.validate_only {
        let existing = find(rpc, call, id).await?;
        let answer = existing.map_or(Ok(account), |found| same(&register.account, found))?;
        return Ok(Response::new(encode::ledger_account(&answer, now)));
    }
    let asked = (register.chosen, &register.account);
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = register.request_id.map(request).transpose()?;
    let asked = register.account;
    let write = move |conn: &mut diesel::PgConnection| {
        if ledger_accounts::insert(conn, tenant, &account)? {
            return Ok(account.clone());
        }
        let found = ledger_accounts::select(conn, tenant, id)?;
        same(&asked, found.ok_or_else(|| Error::IdTaken(id.name()))?)
    };
    let done = once(&rpc.db, "register_ledger_account", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(account) => Ok(Response::new(encode::ledger_account(&account, now))),
        Once::Replayed(name) => {
            let id = AccountId::parse_name(&name)?;
            let account = find(rpc, call, id).await?.ok_or_else(|| id.not_found())?;
            Ok(replayed(encode::ledger_account(&account, now)))
        }
    }
}

async fn find(rpc: &Rpc, call: &Call, id: AccountId) -> Result<Option<LedgerAccount>, Problem> {
    let tenant = call.tenant_id()?;
    let read = rpc.db.read("get_ledger_account", call.scope(), move |conn| {
        ledger_accounts::select(conn, tenant, id)
    });
    Ok(read.await?)
}

/// An account that is registered again as it is. What may change later is not compared.
fn same(asked: &NewAccount, found: LedgerAccount) -> Result<LedgerAccount, Error> {
    if found.currency == asked.currency && found.class == asked.class {
        Ok(found)
    } else {
        Err(Error::IdTaken(found.id.name()))
    }
}
