//! `CloseCustomer`. That its data is needed for some years only from then on, the sweeper tells the
//! records service: until it has, the data is kept without an end.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{AccountId, Customer, CustomerId};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, customers};

const OPERATION: &str = "close-customer";

#[derive(Serialize)]
struct CloseCustomer {
    id: CustomerId,
    reason_code: String,
    etag: String,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CloseCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let closed = handle(rpc, &call, command).await?;
    Ok(closed.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

fn decode(request: wire::CloseCustomerRequest) -> Decoded<CloseCustomer> {
    Ok(CloseCustomer {
        id: CustomerId::parse_name(&request.name).at("name")?,
        reason_code: field::code(request.reason_code).at("reason_code")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: CloseCustomer,
) -> Result<Created<Customer>, Error> {
    let (tenant, id, now) = (call.tenant_id()?, command.id, rpc.clock.now());
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let act = move |conn: &mut PgConnection| close(conn, tenant, &command, now);
    match rpc.once(call, "close_customer", request, id.name(), act).await? {
        Once::Done(customer) => Ok(Created::Now(customer)),
        Once::Replayed(_) => rpc.customer(call, id).await.map(Created::Before),
    }
}

fn close(
    conn: &mut PgConnection,
    tenant: TenantId,
    command: &CloseCustomer,
    now: Timestamp,
) -> Result<Customer, Error> {
    let id = command.id;
    let customer = customers::lock(conn, tenant, id)?;
    let mut customer = customer.ok_or_else(|| id.not_found())?;
    encode::check_etag(&command.etag, customer.version, &id.name())?;
    let state = customer.state;
    customer.close(now)?;
    // Whoever adds it to another account waits for the lock, and then finds it closed.
    if let Some(account) = account_holders::stopped_by(conn, tenant, id, now)?.first() {
        return Err(holds(&customer, state.name(), *account).into());
    }
    customers::update(conn, tenant, &customer)?;
    customers::retain_from(conn, tenant, id, now)?;
    let event = Event::of_customer(tenant, "customer.closed", &customer);
    events::record(conn, tenant, &event.with("reason", command.reason_code.as_str()))?;
    Ok(customer)
}

/// The refusal of a customer who still holds an account.
fn holds(customer: &Customer, state: &'static str, account: AccountId) -> Problem {
    let message = format!("{} still holds {account}, which is not CLOSED.", customer.id);
    Problem::new(Reason::InvalidTransition, message)
        .figure("state", state)
        .figure("allowed", "without an open account")
        .figure("account", account)
}
