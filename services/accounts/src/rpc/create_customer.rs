//! `CreateCustomer`: PENDING and the claim, then subject and profile in records, then ACTIVE.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::{self, Claim};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Begun, Rpc, encode, external_ids, profile};
use crate::domain::{Customer, CustomerId, CustomerKind, CustomerState, Profile};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{customer_external_ids, customers};

const OPERATION: &str = "create-customer";

/// What is asked for. The hash of a request takes in what is serialised; of the profile, nothing
/// but this keyed hash stays here.
#[derive(Serialize)]
struct CreateCustomer {
    id: Option<CustomerId>,
    kind: CustomerKind,
    profile: Profile,
    labels: BTreeMap<String, String>,
    external_ids: BTreeMap<String, String>,
    wait: bool,
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
    Ok(created.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

fn decode(request: wire::CreateCustomerRequest) -> Decoded<CreateCustomer> {
    let customer = field::required(request.customer).at("customer")?;
    let kind = CustomerKind::from_number(customer.kind)
        .ok_or_else(|| invalid("must be KIND_PERSON or KIND_ORGANISATION"))
        .at("customer.kind")?;
    let profile = field::required(customer.profile).at("customer.profile")?;
    let profile = profile::decode(profile).at("customer.profile")?;
    profile::check_kind(&profile, kind).at("customer.profile")?;
    let external_ids = external_ids::decode(customer.external_ids);
    Ok(CreateCustomer {
        id: CustomerId::parse_chosen(&request.customer_id).at("customer_id")?,
        kind,
        profile,
        labels: field::labels(customer.labels).at("customer.labels")?,
        external_ids: external_ids.at("customer.external_ids")?,
        wait: request.wait,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: Rpc, call: Call, command: CreateCustomer) -> Result<Created<Customer>, Error> {
    let id = command.id.unwrap_or_else(CustomerId::generate);
    let customer = Customer::new(id, command.kind, command.labels.clone(), rpc.clock.now());
    let customer = Customer { external_ids: command.external_ids.clone(), ..customer };
    if command.validate_only {
        check(&rpc, &call, customer.clone()).await?;
        return Ok(Created::Now(customer));
    }
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    match begin(&rpc, &call, request.clone(), customer).await? {
        Begun::Finished(customer) => Ok(Created::Before(customer)),
        Begun::Unfinished(customer) => {
            let completed = complete(&rpc, &call, &request, customer, &command).await;
            if completed.is_err() {
                rpc.release(request).await;
            }
            completed.map(Created::Now)
        }
    }
}

/// Whether the customer could be created: its ids are free.
async fn check(rpc: &Rpc, call: &Call, customer: Customer) -> Result<(), Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        if customers::select(conn, tenant, customer.id)?.is_some() {
            return Err(Error::IdTaken(customer.id.name()));
        }
        customer_external_ids::check(conn, tenant, &customer)
    };
    rpc.db.read("check_customer", call.scope(), read).await
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
            Claim::New => {
                insert(conn, tenant, &customer)?;
                Ok(Begun::Unfinished(customer.clone()))
            }
            Claim::Resumed(name) => find(conn, &name).map(Begun::Unfinished),
            Claim::Replayed(name) => find(conn, &name).map(Begun::Finished),
        }
    };
    rpc.write(call, "create_customer", begin).await
}

fn insert(conn: &mut PgConnection, tenant: TenantId, customer: &Customer) -> Result<(), Error> {
    if !customers::insert(conn, tenant, customer)? {
        return Err(Error::IdTaken(customer.id.name()));
    }
    customer_external_ids::insert(conn, tenant, customer)?;
    let event = Event::of_customer(tenant, "customer.created", customer);
    Ok(events::record(conn, tenant, &event.with("kind", customer.kind.name()))?)
}

/// The steps in records, each as often as it takes, and then the last transaction: ACTIVE, unless
/// it shall wait, and the outcome.
async fn complete(
    rpc: &Rpc,
    call: &Call,
    request: &outcome::Request,
    customer: Customer,
    command: &CreateCustomer,
) -> Result<Customer, Error> {
    rpc.records.create_subject(call, &customer).await?;
    rpc.records.create_profile(call, &customer, &command.profile).await?;
    let (tenant, id, clock) = (call.tenant_id()?, customer.id, rpc.clock.clone());
    let (request, wait) = (request.clone(), command.wait);
    let complete = move |conn: &mut PgConnection| {
        let now = clock.now();
        outcome::succeed(conn, tenant, &request.operation, &request.request_id, now)?;
        let customer = customers::lock(conn, tenant, id)?;
        let mut customer = customer.ok_or_else(|| id.not_found())?;
        if customer.profile_version > 0 {
            return Ok(customer);
        }
        customer.profile_version = 1;
        if customer.state == CustomerState::Pending && !wait {
            customer.activate(now)?;
            let event = Event::of_customer(tenant, "customer.activated", &customer);
            events::record(conn, tenant, &event)?;
        } else {
            customer.change(now);
        }
        customers::update(conn, tenant, &customer)?;
        Ok(customer)
    };
    rpc.write(call, "complete_customer", complete).await
}
