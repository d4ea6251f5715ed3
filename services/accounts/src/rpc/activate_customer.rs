//! `ActivateCustomer`.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{Customer, CustomerId, CustomerState};
use crate::error::Error;
use crate::store::customers;
use crate::store::events::{self, Event};

const OPERATION: &str = "activate-customer";

#[derive(Serialize)]
struct ActivateCustomer {
    id: CustomerId,
    etag: String,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ActivateCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let activated = handle(rpc, &call, command).await?;
    Ok(activated.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

fn decode(request: wire::ActivateCustomerRequest) -> Decoded<ActivateCustomer> {
    Ok(ActivateCustomer {
        id: CustomerId::parse_name(&request.name).at("name")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: ActivateCustomer,
) -> Result<Created<Customer>, Error> {
    let (tenant, id, now) = (call.tenant_id()?, command.id, rpc.clock.now());
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let act = move |conn: &mut PgConnection| {
        let customer = customers::lock(conn, tenant, id)?;
        let mut customer = customer.ok_or_else(|| id.not_found())?;
        encode::check_etag(&command.etag, customer.version, &id.name())?;
        check_complete(&customer)?;
        customer.activate(now)?;
        customers::update(conn, tenant, &customer)?;
        let event = Event::of_customer(tenant, "customer.activated", &customer);
        events::record(conn, tenant, &event)?;
        Ok(customer)
    };
    match rpc.once(call, "activate_customer", request, id.name(), act).await? {
        Once::Done(customer) => Ok(Created::Now(customer)),
        Once::Replayed(_) => rpc.customer(call, id).await.map(Created::Before),
    }
}

/// Whether subject and profile are there, as far as that is known: else the request that creates
/// the customer still runs, or has to be repeated.
pub(super) fn check_complete(customer: &Customer) -> Result<(), Problem> {
    if customer.state != CustomerState::Pending || customer.profile_version > 0 {
        return Ok(());
    }
    let message = format!("{} is being created: its profile is not there yet.", customer.id);
    let problem = Problem::new(Reason::RequestInProgress, message);
    Err(problem.retry_after(Duration::from_millis(200)))
}
