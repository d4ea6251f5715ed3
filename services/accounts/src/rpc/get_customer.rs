//! `GetCustomer`: ids and states from here, the profile from records.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::principal::{Scope as Grant, missing};
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::records::v1::RecordView;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, own_customer};
use crate::domain::{Customer, CustomerId, Profile};
use crate::error::Error;

/// What the profile as it is takes beside the permission of the method.
const FULL: &str = "accounts.customers.getFull";
/// The most characters of a purpose.
pub(super) const PURPOSE_MAX: usize = 64;

struct GetCustomer {
    id: CustomerId,
    /// The view of the profile, and what it is for; none for ids and states alone.
    profile: Option<(RecordView, String)>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let query = decode(request.into_inner())?;
    let (customer, profile) = handle(rpc, &call, query).await?;
    Ok(Response::new(encode::customer(customer, profile, rpc.clock.now())))
}

fn decode(request: wire::GetCustomerRequest) -> Decoded<GetCustomer> {
    let id = CustomerId::parse_name(&request.name).at("name")?;
    let view = RecordView::try_from(request.view)
        .map_err(|_| invalid("must be a view of the contract"))
        .at("view")?;
    let purpose = field::text(request.purpose, 0, PURPOSE_MAX).at("purpose")?;
    let profile = match view {
        RecordView::Unspecified | RecordView::Basic => None,
        RecordView::Masked | RecordView::Full => Some((view, purpose)),
    };
    Ok(GetCustomer { id, profile })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    query: GetCustomer,
) -> Result<(Customer, Option<Profile>), Error> {
    allow(call, &query)?;
    let customer = rpc.customer(call, query.id).await?;
    let profile = match query.profile {
        // A customer that is PENDING may have no profile yet.
        Some((view, purpose)) if customer.profile_version > 0 => {
            Some(profile(rpc, call, &customer, view, purpose).await?)
        }
        _ => None,
    };
    Ok((customer, profile))
}

/// Whether the caller may read this customer in this view. It does not say whether there is one.
fn allow(call: &Call, query: &GetCustomer) -> Result<(), Problem> {
    if own_customer(call)?.is_some_and(|own| own != query.id) {
        return Err(query.id.not_found());
    }
    let Some((view, purpose)) = &query.profile else {
        return Ok(());
    };
    if *view == RecordView::Full {
        let is_own = call.principal.customer == Some(query.id.uuid());
        match call.principal.require(FULL)? {
            Grant::Own if !is_own => return Err(missing(FULL)),
            Grant::Own | Grant::Tenant => {}
        }
    }
    if purpose.is_empty() {
        let message = "must say what the profile is for";
        return Err(Problem::new(Reason::PurposeRequired, message).in_field("purpose"));
    }
    Ok(())
}

async fn profile(
    rpc: &Rpc,
    call: &Call,
    customer: &Customer,
    view: RecordView,
    purpose: String,
) -> Result<Profile, Error> {
    let read = rpc.records.get_profile(call, customer, view, purpose).await;
    let document = read.map_err(|problem| match problem.reason {
        // Of a purpose, the caller should know which field is wrong.
        Reason::PurposeRequired | Reason::PurposeUnknown => problem.in_field("purpose"),
        // It was sealed before that was written down here.
        Reason::ResourceNotFound => {
            tracing::error!(customer = %customer.id, "the records service has no profile");
            Problem::internal()
        }
        _ => problem,
    })?;
    Ok(Profile::from_json(&document)?)
}
