//! `ListAccounts`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, filter, own_customer};
use crate::domain::{AccountFilter, AccountPosition, CustomerId, HeldBy, Position};
use crate::error::Error;
use crate::store::{accounts, positions};

const QUERY: &str = "list-accounts";

struct ListAccounts {
    tenant: TenantId,
    filter: AccountFilter,
    page: Page<AccountPosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListAccountsRequest>,
) -> Result<Response<wire::ListAccountsResponse>, Status> {
    let call = Call::of(&request)?;
    let own = own_customer(&call)?;
    let list = decode(request.get_ref(), &call, own)?;
    let found = handle(rpc, &call, &list, own).await?;
    let (now, place) = (rpc.clock.now(), |one: &Position| one.account.position());
    let (accounts, next_page_token) =
        list.page.fill(found, rpc.message_bytes_max, place, |one| encode::account(&one, now));
    Ok(Response::new(wire::ListAccountsResponse { accounts, next_page_token }))
}

fn decode(
    request: &wire::ListAccountsRequest,
    call: &Call,
    own: Option<CustomerId>,
) -> Decoded<ListAccounts> {
    let tenant = call.tenant()?;
    // All that decides which accounts there are.
    let arguments = (tenant.id, own, &request.filter);
    let (size, token) = (request.page_size, &request.page_token);
    Ok(ListAccounts {
        tenant: tenant.id,
        filter: filter::parse(&request.filter).at("filter")?,
        page: Page::decode(&tenant.key, QUERY, &arguments, size, token)?,
    })
}

/// A page, and one account more where there is one.
async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListAccounts,
    own: Option<CustomerId>,
) -> Result<Found<Position, AccountPosition>, Error> {
    let mut filter = list.filter.clone();
    if let Some(own) = own {
        let own = HeldBy::Customer(own);
        if filter.customer.is_some_and(|holder| holder != own) {
            return Ok(Found::all(Vec::new()));
        }
        filter.customer = Some(own);
    }
    let now = rpc.clock.now();
    let (tenant, after, limit) = (list.tenant, list.page.after, list.page.limit());
    let read = move |conn: &mut PgConnection| {
        let found = accounts::list(conn, tenant, &filter, after, limit)?;
        Ok::<_, Error>(positions::of(conn, tenant, found, now)?)
    };
    let found = rpc.db.read("list_accounts", call.scope(), read).await?;
    Ok(Found::all(found))
}
