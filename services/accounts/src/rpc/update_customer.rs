//! `UpdateCustomer`: labels and external ids here, the profile as its next version in records.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::mask::Mask;
use shared::outcome::{self, Claim, Once};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::activate_customer::check_complete;
use super::{Begun, Rpc, check_not_erased, encode, external_ids, profile};
use crate::domain::{Customer, CustomerId, CustomerKind, Profile};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{customer_external_ids, customer_labels, customers};

const OPERATION: &str = "update-customer";
const PROFILE: &str = "profile";
const LABELS: &str = "labels";
const EXTERNAL_IDS: &str = "external_ids";
const FIELDS: [&str; 3] = [PROFILE, LABELS, EXTERNAL_IDS];
/// Names of requests to records made from those to this service (RFC 9562, version 5).
const REQUESTS: Uuid = Uuid::from_u128(0x0f5c_35d1_7a1e_4b0a_8f5e_51f3_a4c9_6b10);

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct UpdateCustomer {
    id: CustomerId,
    /// The fields that are taken over.
    fields: Vec<&'static str>,
    kind: Option<CustomerKind>,
    profile: Option<Profile>,
    labels: BTreeMap<String, String>,
    external_ids: BTreeMap<String, String>,
    etag: String,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdateCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let updated = rpc.finish(handle(rpc.clone(), call, command)).await?;
    Ok(updated.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

fn decode(request: wire::UpdateCustomerRequest) -> Decoded<UpdateCustomer> {
    let customer = field::required(request.customer).at("customer")?;
    let paths = request.update_mask.unwrap_or_default().paths;
    let mask = Mask::decode(&paths, &FIELDS).at("update_mask")?;
    let fields = mask.fields(|field| match field {
        PROFILE => customer.profile.is_some(),
        LABELS => !customer.labels.is_empty(),
        _ => !customer.external_ids.is_empty(),
    });
    let fields = fields.at("update_mask")?;
    let profile = match fields.contains(&PROFILE) {
        true => {
            let profile = field::required(customer.profile).at("customer.profile")?;
            Some(profile::decode(profile).at("customer.profile")?)
        }
        false => None,
    };
    let external_ids = external_ids::decode(customer.external_ids);
    Ok(UpdateCustomer {
        id: CustomerId::parse_name(&customer.name).at("customer.name")?,
        fields,
        kind: CustomerKind::from_number(customer.kind),
        profile,
        labels: field::labels(customer.labels).at("customer.labels")?,
        external_ids: external_ids.at("customer.external_ids")?,
        etag: customer.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

impl UpdateCustomer {
    /// The customer as it shall be.
    fn apply(&self, customer: &mut Customer, now: Timestamp) -> Result<(), Error> {
        encode::check_etag(&self.etag, customer.version, &self.id.name())?;
        customer.allow_change()?;
        if self.kind.is_some_and(|kind| kind != customer.kind) {
            return Err(invalid("cannot be changed").in_field("customer.kind").into());
        }
        check_not_erased(customer)?;
        if let Some(profile) = &self.profile {
            profile::check_kind(profile, customer.kind).at("customer.profile")?;
            check_complete(customer)?;
        }
        if self.fields.contains(&LABELS) {
            customer.labels.clone_from(&self.labels);
        }
        if self.fields.contains(&EXTERNAL_IDS) {
            customer.external_ids.clone_from(&self.external_ids);
        }
        customer.change(now);
        Ok(())
    }

    /// Applies it to the customer, under its lock.
    fn write(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Customer, Error> {
        let customer = customers::lock(conn, tenant, self.id)?;
        let mut customer = customer.ok_or_else(|| self.id.not_found())?;
        self.apply(&mut customer, now)?;
        if self.fields.contains(&LABELS) {
            customer_labels::replace(conn, tenant, &customer)?;
        }
        if self.fields.contains(&EXTERNAL_IDS) {
            customer_external_ids::replace(conn, tenant, &customer)?;
        }
        customers::update(conn, tenant, &customer)?;
        let event = Event::of_customer(tenant, "customer.updated", &customer);
        events::record(conn, tenant, &event.with("fields", self.fields.clone()))?;
        Ok(customer)
    }
}

async fn handle(rpc: Rpc, call: Call, command: UpdateCustomer) -> Result<Created<Customer>, Error> {
    if command.validate_only {
        return check(&rpc, &call, &command).await.map(Created::Now);
    }
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let Some(profile) = &command.profile else {
        return update(&rpc, &call, request, command).await;
    };
    // What records would refuse is refused before anything is changed. A repeat is past that.
    if !rpc.is_known(&call, &request).await?
        && let Err(error) = check(&rpc, &call, &command).await
    {
        return Err(rpc.refuse(&call, request, error).await);
    }
    let customer = match begin(&rpc, &call, request.clone(), command.clone()).await {
        Ok(Begun::Finished(customer)) => return Ok(Created::Before(customer)),
        Ok(Begun::Unfinished(customer)) => customer,
        Err(error) => return Err(rpc.refuse(&call, request, error).await),
    };
    let completed = complete(&rpc, &call, &request, customer, profile).await;
    if completed.is_err() {
        rpc.release(request).await;
    }
    completed.map(Created::Now)
}

/// Whether it could be done, and what it would give.
async fn check(rpc: &Rpc, call: &Call, command: &UpdateCustomer) -> Result<Customer, Error> {
    let mut customer = rpc.customer(call, command.id).await?;
    command.apply(&mut customer, rpc.clock.now())?;
    if command.fields.contains(&EXTERNAL_IDS) {
        let (tenant, wanted) = (call.tenant_id()?, customer.clone());
        let read =
            move |conn: &mut PgConnection| customer_external_ids::check(conn, tenant, &wanted);
        rpc.db.read("check_external_ids", call.scope(), read).await?;
    }
    if let Some(profile) = &command.profile {
        rpc.records.update_profile(call, &customer, profile, String::new()).await?;
    }
    Ok(customer)
}

/// All in one transaction, where no profile is in it.
async fn update(
    rpc: &Rpc,
    call: &Call,
    request: outcome::Request,
    command: UpdateCustomer,
) -> Result<Created<Customer>, Error> {
    let (tenant, id, now) = (call.tenant_id()?, command.id, rpc.clock.now());
    let act = move |conn: &mut PgConnection| command.write(conn, tenant, now);
    match rpc.once(call, "update_customer", request, id.name(), act).await? {
        Once::Done(customer) => Ok(Created::Now(customer)),
        Once::Replayed(_) => rpc.customer(call, id).await.map(Created::Before),
    }
}

/// The first transaction: the claim, and all but the profile.
async fn begin(
    rpc: &Rpc,
    call: &Call,
    request: outcome::Request,
    command: UpdateCustomer,
) -> Result<Begun<Customer>, Error> {
    let (tenant, lease, now) = (call.tenant_id()?, call.deadline.remaining(), rpc.clock.now());
    let begin = move |conn: &mut PgConnection| {
        let id = command.id;
        let find = |conn: &mut PgConnection| {
            let found = customers::select(conn, tenant, id)?;
            found.ok_or_else(|| Error::from(id.not_found()))
        };
        match outcome::begin::<Error>(conn, &request, &id.name(), lease)? {
            Claim::New => command.write(conn, tenant, now).map(Begun::Unfinished),
            Claim::Resumed(_) => find(conn).map(Begun::Unfinished),
            Claim::Replayed(_) => find(conn).map(Begun::Finished),
        }
    };
    rpc.write(call, "update_customer", begin).await
}

/// The step in records, as often as it takes, and then the last transaction: the outcome.
async fn complete(
    rpc: &Rpc,
    call: &Call,
    request: &outcome::Request,
    customer: Customer,
    profile: &Profile,
) -> Result<Customer, Error> {
    let name = format!("{}/{}", customer.id, request.request_id);
    let request_id = Uuid::new_v5(&REQUESTS, name.as_bytes()).to_string();
    let version = rpc.records.update_profile(call, &customer, profile, request_id).await?;
    let (tenant, id, clock, request) =
        (call.tenant_id()?, customer.id, rpc.clock.clone(), request.clone());
    let complete = move |conn: &mut PgConnection| {
        outcome::succeed(conn, tenant, &request.operation, &request.request_id, clock.now())?;
        let customer = customers::lock(conn, tenant, id)?;
        let mut customer = customer.ok_or_else(|| id.not_found())?;
        customer.profile_version = customer.profile_version.max(version);
        customers::update(conn, tenant, &customer)?;
        Ok(customer)
    };
    rpc.write(call, "complete_update", complete).await
}
