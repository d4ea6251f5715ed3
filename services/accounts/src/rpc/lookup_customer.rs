//! `LookupCustomer`: by an external id from here, by what is sealed through records.

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};
use wire::lookup_customer_request::Key;

use super::get_customer::PURPOSE_MAX;
use super::{Rpc, encode, external_ids, profile};
use crate::clients::{EMAIL_INDEX, PHONE_INDEX, TAX_ID_INDEX};
use crate::domain::{Customer, TaxId, is_email, is_phone};
use crate::error::Error;
use crate::store::{customer_external_ids, customers};

/// By what customers are looked for.
enum Lookup {
    /// An id of the caller's own: its kind and value.
    ExternalId(String, String),
    /// A value in an index of the profiles, and what for.
    Sealed { field: &'static str, index: &'static str, value: String, purpose: String },
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::LookupCustomerRequest>,
) -> Result<Response<wire::LookupCustomerResponse>, Status> {
    let call = Call::of(&request)?;
    let lookup = decode(request.into_inner())?;
    let (customers, now) = (handle(rpc, &call, lookup).await?.into_iter(), rpc.clock.now());
    let customers = customers.map(|customer| encode::customer(customer, None, now)).collect();
    Ok(Response::new(wire::LookupCustomerResponse { customers }))
}

fn decode(request: wire::LookupCustomerRequest) -> Decoded<Lookup> {
    let purpose = field::text(request.purpose, 0, PURPOSE_MAX).at("purpose")?;
    let key = field::required(request.key).at("key")?;
    let (field, index, value) = match key {
        Key::ExternalId(id) => {
            let kind = external_ids::kind(id.kind).at("kind").at("external_id")?;
            let value = external_ids::value(id.value).at("value").at("external_id")?;
            return Ok(Lookup::ExternalId(kind, value));
        }
        Key::Email(email) if is_email(&email) => ("email", EMAIL_INDEX, email),
        Key::Email(_) => {
            return Err(invalid("must be an address of electronic mail")).at("email");
        }
        Key::Phone(phone) if is_phone(&phone) => ("phone", PHONE_INDEX, phone),
        Key::Phone(_) => {
            return Err(invalid("must be a number such as \"+41446681800\"")).at("phone");
        }
        Key::TaxId(tax_id) => {
            let tax_id: TaxId = profile::tax_id(tax_id).at("tax_id")?;
            ("tax_id", TAX_ID_INDEX, tax_id.key())
        }
    };
    if purpose.is_empty() {
        let message = "must say what the customer is looked for";
        let problem = Problem::new(Reason::PurposeRequired, message);
        return Err(problem.in_field("purpose").into());
    }
    Ok(Lookup::Sealed { field, index, value, purpose })
}

async fn handle(rpc: &Rpc, call: &Call, lookup: Lookup) -> Result<Vec<Customer>, Error> {
    let tenant = call.tenant_id()?;
    let ids = match lookup {
        Lookup::ExternalId(kind, value) => {
            let read = move |conn: &mut PgConnection| {
                let holder = customer_external_ids::holder(conn, tenant, &kind, &value)?;
                Ok::<_, Error>(holder.into_iter().collect::<Vec<_>>())
            };
            rpc.db.read("lookup_customer", call.scope(), read).await?
        }
        Lookup::Sealed { field, index, value, purpose } => {
            let found = rpc.records.look_up(call, index, value, purpose).await;
            found.map_err(|problem| match problem.reason {
                // The caller should know which field of its own is wrong.
                Reason::PurposeRequired | Reason::PurposeUnknown => problem.in_field("purpose"),
                Reason::FieldInvalid => problem.in_field(field),
                _ => problem,
            })?
        }
    };
    let read =
        move |conn: &mut PgConnection| Ok::<_, Error>(customers::select_all(conn, tenant, &ids)?);
    let found = rpc.db.read("get_customers", call.scope(), read).await?;
    Ok(found.into_values().collect())
}
