//! `ListCustomers`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, customer_filter, encode};
use crate::domain::{Customer, CustomerFilter, CustomerPosition};
use crate::error::Error;
use crate::store::customer_lists::Walk;

const QUERY: &str = "list-customers";

struct ListCustomers {
    tenant: TenantId,
    filter: CustomerFilter,
    page: Page<CustomerPosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListCustomersRequest>,
) -> Result<Response<wire::ListCustomersResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let found = handle(rpc, &call, &list).await?;
    let now = rpc.clock.now();
    let encode = |customer| encode::customer(customer, None, now);
    let (customers, next_page_token) =
        list.page.fill(found, rpc.message_bytes_max, Customer::position, encode);
    Ok(Response::new(wire::ListCustomersResponse { customers, next_page_token }))
}

fn decode(request: &wire::ListCustomersRequest, call: &Call) -> Decoded<ListCustomers> {
    let tenant = call.tenant()?;
    // All that decides which customers there are.
    let arguments = (tenant.id, &request.filter);
    let (size, token) = (request.page_size, &request.page_token);
    Ok(ListCustomers {
        tenant: tenant.id,
        filter: customer_filter::parse(&request.filter).at("filter")?,
        page: Page::decode(&tenant.key, QUERY, &arguments, size, token)?,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListCustomers,
) -> Result<Found<Customer, CustomerPosition>, Error> {
    let (tenant, now) = (list.tenant, rpc.clock.now());
    let (filter, page) = (list.filter.clone(), list.page.clone());
    let read = move |conn: &mut PgConnection| {
        let walk = Walk { tenant, filter: &filter, now };
        let candidates =
            |after: Option<&CustomerPosition>, limit| walk.candidates(conn, after, limit);
        let fits = |customer: &Customer| filter.fits(customer, now);
        Ok::<_, Error>(Found::among(&page, candidates, Customer::position, fits)?)
    };
    rpc.db.read("list_customers", call.scope(), read).await
}
