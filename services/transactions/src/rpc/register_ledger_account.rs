//! `LedgerService.RegisterLedgerAccount`.

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::ids::TenantId;
use shared::money::{Currencies, Currency};
use shared::outcome::{Once, once};
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, decode, encode};
use crate::domain::{
    AccountId, Controls, LedgerAccount, NewAccount, REGISTERED, Refusal, SOURCES_MAX,
};
use crate::error::Error;
use crate::store::ledger_accounts;

const OPERATION: &str = "register-ledger-account";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RegisterLedgerAccountRequest>,
) -> Result<Response<wire::LedgerAccount>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let read = |known: &Currencies| decode(request.clone(), known);
    let register = rpc.currencies.decode(&call, read).await?;
    Ok(handle(rpc, &call, register).await?)
}

struct Register {
    /// The id that the caller gave, which is part of what is asked for; a made one is not.
    chosen: Option<AccountId>,
    account: NewAccount,
    request_id: Option<String>,
    validate_only: bool,
}

fn decode(request: wire::RegisterLedgerAccountRequest, known: &Currencies) -> Decoded<Register> {
    let account = field::required(request.account).at("account")?;
    let chosen = AccountId::parse_chosen(&request.account_id).at("account_id")?;
    let id = chosen.unwrap_or_else(AccountId::generate);
    let currency = Currency::decode(&account.currency, known).at("account.currency")?;
    let controls = first_controls(request.controls, currency, known)?;
    Ok(Register {
        chosen,
        account: decode::account(id, account, controls, known).at("account")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

/// One full state for each source: of two, one could never be replaced.
fn first_controls(
    wire: Vec<wire::Controls>,
    currency: Currency,
    known: &Currencies,
) -> Decoded<Vec<Controls>> {
    if wire.len() > SOURCES_MAX {
        return Err(invalid(format!("must be of at most {SOURCES_MAX} sources"))).at("controls");
    }
    let mut all = Vec::with_capacity(wire.len());
    for (index, wire) in wire.into_iter().enumerate() {
        let controls = decode::controls(wire, known)
            .and_then(|(controls, found)| decode::in_currency(&found, currency).map(|()| controls))
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
        let read = rpc.db.read("validate_ledger_account", call.scope(), move |conn| {
            check_parent(conn, tenant, &account)?;
            let existing = select_now(conn, tenant, id, now)?;
            existing.map_or(Ok(account.clone()), |found| same(&register.account, found))
        });
        return Ok(Response::new(encode::ledger_account(&read.await?, now, rpc.timeline)));
    }
    let asked = (register.chosen, &register.account);
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = register.request_id.map(request).transpose()?;
    let asked = register.account;
    let write = move |conn: &mut PgConnection| {
        check_parent(conn, tenant, &account)?;
        if ledger_accounts::insert(conn, tenant, &account)? {
            ledger_accounts::record(conn, tenant, REGISTERED, &account, None)?;
            return Ok(account.clone());
        }
        let found = select_now(conn, tenant, id, now)?;
        same(&asked, found.ok_or_else(|| taken(id))?)
    };
    let done = once(&rpc.db, "register_ledger_account", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(account) => {
            Ok(Response::new(encode::ledger_account(&account, now, rpc.timeline)))
        }
        Once::Replayed(name) => {
            let id = AccountId::parse_name(&name)?;
            let account = rpc.account(call, id).await?;
            Ok(replayed(encode::ledger_account(&account, now, rpc.timeline)))
        }
    }
}

fn select_now(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    now: Timestamp,
) -> Result<Option<LedgerAccount>, Error> {
    Ok(ledger_accounts::select_now(conn, tenant, &[id].into(), now)?.remove(&id))
}

/// An account that is registered again as it is. What may change later is not compared.
fn same(asked: &NewAccount, found: LedgerAccount) -> Result<LedgerAccount, Error> {
    let is_same = found.currency == asked.currency
        && found.class == asked.class
        && found.customer == asked.customer
        && found.parent == asked.parent;
    if is_same { Ok(found) } else { Err(taken(found.id)) }
}

fn taken(id: AccountId) -> Error {
    Error::Refused(Refusal::IdTaken(id.name()))
}

/// A parent is there, and rolls up the same things.
fn check_parent(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
) -> Result<(), Error> {
    let Some(id) = account.parent else { return Ok(()) };
    let parent = ledger_accounts::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    if (parent.currency, parent.class) == (account.currency, account.class) {
        return Ok(());
    }
    let problem = invalid("must be an account of the same currency and class");
    Err(Error::Problem(problem.in_field("account.parent")))
}
