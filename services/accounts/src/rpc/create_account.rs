//! `CreateAccount`: PENDING, the claim and the intent, then the ledger, then OPEN.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::money::{Currencies, Currency, Money, Units};
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money as WireMoney;
use strongroom_proto::transactions::v1::{Overdraft as WireOverdraft, overdraft::Bound};
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, check_not_erased, encode, external_ids};
use crate::domain::{
    Account, AccountClass, AccountId, AccountState, CustomerId, Holder, NewAccount, Overdraft,
    Position,
};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_external_ids, account_holders, accounts, customers};

const OPERATION: &str = "create-account";
pub(super) const PRODUCT_MAX: usize = 64;
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
    let created = handle(rpc, &call, command).await?;
    Ok(created.respond(|position| encode::account(&position, rpc.clock.now())))
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
    let parent = match account.parent.as_str() {
        "" => None,
        name => Some(AccountId::parse_name(name).at("parent")?),
    };
    let external_ids = external_ids::decode(account.external_ids);
    Ok(NewAccount {
        customer,
        parent,
        product: field::kebab(account.product, PRODUCT_MAX).at("product")?,
        currency,
        class: class(account.class, customer).at("class")?,
        gl_code: field::text(account.gl_code, 0, GL_CODE_MAX).at("gl_code")?,
        overdraft: overdraft(account.overdraft, currency).at("overdraft")?,
        labels: field::labels(account.labels).at("labels")?,
        external_ids: external_ids.at("external_ids")?,
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

/// Reads how far an account of a currency may fall below zero.
pub(super) fn overdraft(
    overdraft: Option<WireOverdraft>,
    currency: Currency,
) -> Decoded<Overdraft> {
    match overdraft.and_then(|overdraft| overdraft.bound) {
        None | Some(Bound::Unbounded(false)) => Ok(Overdraft::Limit(Units::ZERO)),
        Some(Bound::Unbounded(true)) => Ok(Overdraft::Unbounded),
        Some(Bound::Limit(money)) => limit(&money, currency).at("limit").map(Overdraft::Limit),
    }
}

fn limit(money: &WireMoney, currency: Currency) -> Decoded<Units> {
    let units = in_currency(Money::decode(money, &Currencies::iso())?, currency)?;
    if units < Units::ZERO {
        return Err(invalid("must be zero or above")).at("amount");
    }
    Ok(units)
}

/// An amount in the currency of the account.
pub(super) fn in_currency(money: Money, currency: Currency) -> Decoded<Units> {
    if money.currency != currency {
        return Err(mismatch(money.currency, currency)).at("currency");
    }
    Ok(money.units)
}

/// `CURRENCY_MISMATCH` with the account.
pub(super) fn mismatch(found: Currency, expected: Currency) -> Problem {
    let sentence = format!("must be {expected}, the currency of the account");
    let problem = Problem::new(Reason::CurrencyMismatch, sentence).in_field("");
    problem.figure("currency", found).figure("expected", expected)
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: CreateAccount,
) -> Result<Created<Position>, Error> {
    let id = command.id.unwrap_or_else(AccountId::generate);
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let account = Account::new(id, command.terms.clone(), request.time);
    let act = {
        let account = account.clone();
        move |conn: &mut PgConnection, begin: &Begin<'_>| insert(conn, begin, &account)
    };
    if command.validate_only {
        rpc.would(call, "check_account", request, act).await?;
        let (freezes, principals) = (Vec::new(), Vec::new());
        return Ok(Created::Now(Position { account, freezes, principals }));
    }
    let created = rpc.control(call, "create_account", request, id.name(), act).await?;
    let position = rpc.position(call, AccountId::parse_name(created.resource())?).await?;
    Ok(created.with(position))
}

/// The first transaction: the account as PENDING, its customer as the first owner, and the intent
/// to register it. The customer is kept as it is meanwhile, so that what stops it from then on
/// finds the account.
fn insert(conn: &mut PgConnection, begin: &Begin<'_>, account: &Account) -> Result<(), Error> {
    let (tenant, terms) = (begin.tenant, &account.terms);
    if let Some(id) = terms.customer {
        let customer = customers::hold(conn, tenant, id)?;
        let customer = customer.ok_or_else(|| id.not_found())?;
        check_not_erased(&customer)?;
        customer.allow_account()?;
    }
    if let Some(id) = terms.parent {
        let parent = accounts::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        check_parent(terms, &parent).at("account.parent")?;
    }
    if !accounts::insert(conn, tenant, account)? {
        return Err(Error::IdTaken(account.id.name()));
    }
    account_external_ids::insert(conn, tenant, account)?;
    if let Some(customer) = terms.customer {
        let owner = Holder::first(account.id, customer, begin.now());
        account_holders::insert(conn, tenant, account, &owner)?;
    }
    begin.register(conn, account.id)?;
    let event = Event::of_account(tenant, "account.created", account);
    let customer = terms.customer.map(CustomerId::name);
    Ok(events::record(conn, tenant, &event.with("customer", customer))?)
}

/// A parent rolls up the same things.
fn check_parent(terms: &NewAccount, parent: &Account) -> Decoded<()> {
    if parent.terms.currency != terms.currency {
        return Err(mismatch(parent.terms.currency, terms.currency).into());
    }
    if parent.terms.class != terms.class {
        return Err(invalid("must be of the same class"));
    }
    if parent.state == AccountState::Closed {
        return Err(invalid("must not be closed"));
    }
    Ok(())
}
