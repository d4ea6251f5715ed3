//! `AddHolder`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, check_not_erased, encode, holders};
use crate::domain::{AccountId, CustomerId, Holder, Role, Span};
use crate::error::Error;
use crate::store::{account_holders, customers};

const OPERATION: &str = "add-holder";

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Serialize)]
struct AddHolder {
    account: AccountId,
    customer: CustomerId,
    role: Role,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::AddHolderRequest>,
) -> Result<Response<wire::Holder>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::holder))
}

fn decode(request: wire::AddHolderRequest) -> Decoded<AddHolder> {
    let account = AccountId::parse_name(&request.parent).at("parent")?;
    let holder = field::required(request.holder).at("holder")?;
    let time = |time: Option<_>| time.map(Timestamp::decode).transpose();
    Ok(AddHolder {
        account,
        customer: CustomerId::parse_name(&holder.customer).at("holder.customer")?,
        role: holders::role(holder.role).at("holder.role")?,
        start: time(holder.start_time).at("holder.start_time")?,
        end: time(holder.end_time).at("holder.end_time")?,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: AddHolder) -> Result<Created<Holder>, Error> {
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let AddHolder { account, customer, role, start, end, validate_only, .. } = command;
    let span = Span { start: start.unwrap_or(request.time), end };
    let holder = Holder { account, customer, role, span, create_time: request.time };
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| add(conn, begin, holder);
    if validate_only {
        rpc.would(call, "check_holder", request, act).await?;
        return Ok(Created::Now(holder));
    }
    let added = rpc.control(call, "add_holder", request, holder.name(), act).await?;
    Ok(added.with(holders::read(rpc, call, account, customer).await?))
}

/// Adds a holder where there is room. Who held the account before keeps the time at which that was
/// recorded first.
fn add(conn: &mut PgConnection, begin: &Begin<'_>, mut holder: Holder) -> Result<(), Error> {
    let (tenant, now) = (begin.tenant, begin.now());
    holders::check_span(holder.span, now)?;
    let customer = customers::hold(conn, tenant, holder.customer)?;
    let customer = customer.ok_or_else(|| holder.customer.not_found())?;
    check_not_erased(&customer)?;
    customer.allow_account()?;
    let account = holders::lock(conn, tenant, holder.account)?;
    if account.terms.customer.is_none() {
        return Err(invalid("must not be a house account").in_field("parent").into());
    }
    let before = account_holders::find(conn, tenant, holder.account, holder.customer)?;
    if before.is_some_and(|before| !before.span.is_over(now)) {
        return Err(Error::IdTaken(holder.name()));
    }
    holders::check_room(conn, tenant, &holder, now)?;
    match before {
        Some(before) => {
            holder.create_time = before.create_time;
            account_holders::update(conn, tenant, &holder)?;
        }
        None => account_holders::insert(conn, tenant, &account, &holder)?,
    }
    if holder.role.is_principal() {
        begin.change(conn, &[account.id])?;
    }
    holders::record(conn, begin, "holder.added", holder, &[])
}
