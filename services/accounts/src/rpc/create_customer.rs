//! `CreateCustomer`: PENDING and the claim, then subject and profile in records, then ACTIVE.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::Serialize;
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::{self, Claim};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Begun, RELEASE_TIMEOUT, Rpc, encode, profile};
use crate::domain::{Customer, CustomerId, CustomerKind, CustomerState, Profile};
use crate::error::Error;
use crate::store::customers;

const OPERATION: &str = "create-customer";

/// What is asked for. The hash of a request takes in what is serialised; of the profile, nothing
/// but this keyed hash stays here.
#[derive(Serialize)]
struct CreateCustomer {
    id: Option<CustomerId>,
    kind: CustomerKind,
    profile: Profile,
    labels: BTreeMap<String, String>,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let created = rpc.finish(handle(rpc.clone(), call, command)).await?;
    Ok(created.respond(|customer| encode::customer(customer, None)))
}

fn decode(request: wire::CreateCustomerRequest) -> Decoded<CreateCustomer> {
    let customer = field::required(request.customer).at("customer")?;
    let kind = CustomerKind::from_number(customer.kind)
        .ok_or_else(|| invalid("must be KIND_PERSON or KIND_ORGANISATION"))
        .at("customer.kind")?;
    let profile = field::required(customer.profile).at("customer.profile")?;
    Ok(CreateCustomer {
        id: CustomerId::parse_chosen(&request.customer_id).at("customer_id")?,
        kind,
        profile: profile::decode(profile, kind).at("customer.profile")?,
        labels: field::labels(customer.labels).at("customer.labels")?,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: Rpc, call: Call, command: CreateCustomer) -> Result<Created<Customer>, Error> {
    let id = command.id.unwrap_or_else(CustomerId::generate);
    let customer = Customer::new(id, command.kind, command.labels.clone(), rpc.clock.now());
    if command.validate_only {
        check(&rpc, &call, id).await?;
        return Ok(Created::Now(customer));
    }
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    match begin(&rpc, &call, request.clone(), customer).await? {
        Begun::Finished(customer) => Ok(Created::Before(customer)),
        Begun::Unfinished(customer) => {
            let completed = complete(&rpc, &call, &request, customer, &command.profile).await;
            if completed.is_err() {
                release(&rpc, request).await;
            }
            completed.map(Created::Now)
        }
    }
}

/// Whether the customer could be created: its id is free.
async fn check(rpc: &Rpc, call: &Call, id: CustomerId) -> Result<(), Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| customers::select(conn, tenant, id);
    match rpc.db.read("check_customer", call.scope(), read).await? {
        None => Ok(()),
        Some(_) => Err(Error::IdTaken(id.name())),
    }
}

/// The first transaction: the claim, and the customer as PENDING.
async fn begin(
    rpc: &Rpc,
    call: &Call,
    request: outcome::Request,
    customer: Customer,
) -> Result<Begun<Customer>, Error> {
    let (tenant, lease) = (call.tenant_id()?, call.deadline.remaining());
    let begin = move |conn: &mut PgConnection| {
        let find = |conn: &mut PgConnection, name: &str| {
            let id = CustomerId::parse_name(name)?;
            let found = customers::select(conn, tenant, id)?;
            found.ok_or_else(|| Error::from(id.not_found()))
        };
        match outcome::begin::<Error>(conn, &request, &customer.id.name(), lease)? {
            Claim::New if customers::insert(conn, tenant, &customer)? => {
                Ok(Begun::Unfinished(customer.clone()))
            }
            Claim::New => Err(Error::IdTaken(customer.id.name())),
            Claim::Resumed(name) => find(conn, &name).map(Begun::Unfinished),
            Claim::Replayed(name) => find(conn, &name).map(Begun::Finished),
        }
    };
    rpc.db.write("create_customer", call.scope(), begin).await
}

/// The steps in records, each as often as it takes, and then the last transaction: ACTIVE, and the
/// outcome.
async fn complete(
    rpc: &Rpc,
    call: &Call,
    request: &outcome::Request,
    customer: Customer,
    profile: &Profile,
) -> Result<Customer, Error> {
    rpc.records.create_subject(call, &customer).await?;
    rpc.records.create_profile(call, &customer, profile).await?;
    let (tenant, id, clock) = (call.tenant_id()?, customer.id, rpc.clock.clone());
    let request = request.clone();
    let activate = move |conn: &mut PgConnection| {
        let now = clock.now();
        outcome::succeed(conn, tenant, &request.operation, &request.request_id, now)?;
        let customer = customers::lock(conn, tenant, id)?;
        let mut customer = customer.ok_or_else(|| id.not_found())?;
        if customer.state == CustomerState::Pending {
            customer.activate(now)?;
            customers::update_state(conn, tenant, &customer)?;
        }
        Ok(customer)
    };
    rpc.db.write("activate_customer", call.scope(), activate).await
}

/// Gives the request id back, so that a repeat goes on at once. The deadline may have passed, so
/// this has one of its own.
async fn release(rpc: &Rpc, request: outcome::Request) {
    let scope = Scope::tenant(request.tenant, Deadline::after(RELEASE_TIMEOUT));
    let release = move |conn: &mut PgConnection| {
        outcome::release(conn, &request)?;
        Ok::<_, DbError>(())
    };
    if let Err(error) = rpc.db.write("release_customer", scope, release).await {
        tracing::warn!(%error, "a request id stays claimed until its lease ends");
    }
}
