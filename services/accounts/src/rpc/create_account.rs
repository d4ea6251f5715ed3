//! `CreateAccount`: PENDING, the claim and the intent, then the ledger, then OPEN.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::money::{Currencies, Currency, Money, Units};
use shared::outcome::{self, Claim};
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money as WireMoney;
use strongroom_proto::transactions::v1::{Overdraft as WireOverdraft, overdraft::Bound};
use tonic::{Request, Response, Status};

use super::{Begun, RELEASE_TIMEOUT, Rpc, encode};
use crate::domain::{Account, AccountClass, AccountId, CustomerId, NewAccount, Overdraft, later};
use crate::error::Error;
use crate::store::ledger_intents::{self, Intent};
use crate::store::{accounts, customers};

const OPERATION: &str = "create-account";
const PRODUCT_MAX: usize = 64;
const GL_CODE_MAX: usize = 32;

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Serialize)]
struct CreateAccount {
    id: Option<AccountId>,
    terms: NewAccount,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let created = rpc.finish(handle(rpc.clone(), call, command)).await?;
    Ok(created.respond(encode::account))
}

fn decode(request: wire::CreateAccountRequest) -> Decoded<CreateAccount> {
    let account = field::required(request.account).at("account")?;
    Ok(CreateAccount {
        id: AccountId::parse_chosen(&request.account_id).at("account_id")?,
        terms: terms(account).at("account")?,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

fn terms(account: wire::Account) -> Decoded<NewAccount> {
    let customer = match account.customer.as_str() {
        "" => None,
        name => Some(CustomerId::parse_name(name).at("customer")?),
    };
    let currency = Currency::decode(&account.currency, &Currencies::iso()).at("currency")?;
    Ok(NewAccount {
        customer,
        product: field::kebab(account.product, PRODUCT_MAX).at("product")?,
        currency,
        class: class(account.class, customer).at("class")?,
        gl_code: field::text(account.gl_code, 0, GL_CODE_MAX).at("gl_code")?,
        overdraft: overdraft(account.overdraft, currency).at("overdraft")?,
        labels: field::labels(account.labels).at("labels")?,
    })
}

/// A customer's money is a liability of the one who holds it, unless the caller says otherwise.
fn class(number: i32, customer: Option<CustomerId>) -> Decoded<AccountClass> {
    match (number, customer) {
        (0, Some(_)) => Ok(AccountClass::Liability),
        (0, None) => Err(invalid("must be given for a house account")),
        _ => AccountClass::from_number(number)
            .ok_or_else(|| invalid("must be a class of the contract")),
    }
}

fn overdraft(overdraft: Option<WireOverdraft>, currency: Currency) -> Decoded<Overdraft> {
    match overdraft.and_then(|overdraft| overdraft.bound) {
        None | Some(Bound::Unbounded(false)) => Ok(Overdraft::Limit(Units::ZERO)),
        Some(Bound::Unbounded(true)) => Ok(Overdraft::Unbounded),
        Some(Bound::Limit(money)) => limit(&money, currency).at("limit").map(Overdraft::Limit),
    }
}

fn limit(money: &WireMoney, currency: Currency) -> Decoded<Units> {
    let money = Money::decode(money, &Currencies::iso())?;
    if money.currency != currency {
        let sentence = format!("must be {currency}, the currency of the account");
        let problem = Problem::new(Reason::CurrencyMismatch, sentence).in_field("");
        let problem = problem.figure("currency", money.currency).figure("expected", currency);
        return Err(problem).at("currency");
    }
    if money.units < Units::ZERO {
        return Err(invalid("must be zero or above")).at("amount");
    }
    Ok(money.units)
}

async fn handle(rpc: Rpc, call: Call, command: CreateAccount) -> Result<Created<Account>, Error> {
    let id = command.id.unwrap_or_else(AccountId::generate);
    let account = Account::new(id, command.terms.clone(), rpc.clock.now());
    if command.validate_only {
        check(&rpc, &call, account.clone()).await?;
        return Ok(Created::Now(account));
    }
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let account = match begin(&rpc, &call, request.clone(), account).await {
        Ok(Begun::Unfinished(account)) => account,
        Ok(Begun::Finished(account)) => return Ok(Created::Before(account)),
        Err(error) => {
            let problem = Problem::from(error);
            if problem.is_frozen() {
                return Err(rpc.freeze(&call, request, problem).await.into());
            }
            return Err(problem.into());
        }
    };
    let intent = Intent::registration(account.id, &request);
    let opened = rpc.registrar.register(&call, &account, intent.clone()).await;
    if opened.is_err() {
        release(&rpc, request, intent).await;
    }
    opened.map(Created::Now)
}

/// Whether the account could be opened: its id is free, and its customer may have one.
async fn check(rpc: &Rpc, call: &Call, account: Account) -> Result<(), Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        if let Some(id) = account.terms.customer {
            let customer = customers::select(conn, tenant, id)?;
            let customer = customer.ok_or_else(|| id.not_found())?;
            customer.allow_account()?;
        }
        match accounts::select(conn, tenant, account.id)? {
            None => Ok(()),
            Some(_) => Err(Error::IdTaken(account.id.name())),
        }
    };
    rpc.db.read("check_account", call.scope(), read).await
}

/// The first transaction: the claim, the account as PENDING, and the intent to register it.
async fn begin(
    rpc: &Rpc,
    call: &Call,
    request: outcome::Request,
    account: Account,
) -> Result<Begun<Account>, Error> {
    let (tenant, lease) = (call.tenant_id()?, call.deadline.remaining());
    let begin = move |conn: &mut PgConnection| {
        let find = |conn: &mut PgConnection, name: &str| {
            let id = AccountId::parse_name(name)?;
            let found = accounts::select(conn, tenant, id)?;
            found.ok_or_else(|| Error::from(id.not_found()))
        };
        match outcome::begin::<Error>(conn, &request, &account.id.name(), lease)? {
            Claim::New => {
                insert(conn, tenant, &request, &account, lease)?;
                Ok(Begun::Unfinished(account.clone()))
            }
            Claim::Resumed(name) => find(conn, &name).map(Begun::Unfinished),
            Claim::Replayed(name) => find(conn, &name).map(Begun::Finished),
        }
    };
    rpc.db.write("create_account", call.scope(), begin).await
}

/// Inserts the account and its intent, which the reconciler leaves to the call until the end of the
/// lease.
fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    request: &outcome::Request,
    account: &Account,
    lease: Duration,
) -> Result<(), Error> {
    if let Some(id) = account.terms.customer {
        let customer = customers::hold(conn, tenant, id)?;
        customer.ok_or_else(|| id.not_found())?.allow_account()?;
    }
    if !accounts::insert(conn, tenant, account)? {
        return Err(Error::IdTaken(account.id.name()));
    }
    let intent = Intent::registration(account.id, request);
    let due = later(request.time, lease);
    Ok(ledger_intents::insert(conn, tenant, &intent, request.time, due)?)
}

/// Gives the request id back to a repeat, and the intent to the reconciler. The deadline may have
/// passed, so this has one of its own.
async fn release(rpc: &Rpc, request: outcome::Request, intent: Intent) {
    let tenant = request.tenant;
    let scope = Scope::tenant(tenant, Deadline::after(RELEASE_TIMEOUT));
    let now = rpc.clock.now();
    let release = move |conn: &mut PgConnection| {
        outcome::release(conn, &request)?;
        ledger_intents::put_off(conn, tenant, &intent, now)?;
        Ok::<_, DbError>(())
    };
    if let Err(error) = rpc.db.write("release_account", scope, release).await {
        tracing::warn!(%error, "an account waits for the reconciler until its lease ends");
    }
}
