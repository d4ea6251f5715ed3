//! `ListAccounts`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, filter, own_customer};
use crate::domain::{Account, AccountFilter, AccountPosition, CustomerId};
use crate::error::Error;
use crate::store::account_lists::{Candidate, Walk};
use crate::store::positions;

const QUERY: &str = "list-accounts";

struct ListAccounts {
    tenant: TenantId,
    own: Option<CustomerId>,
    filter: AccountFilter,
    page: Page<AccountPosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListAccountsRequest>,
) -> Result<Response<wire::ListAccountsResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let (accounts, next_page_token) = handle(rpc, &call, list).await?;
    Ok(Response::new(wire::ListAccountsResponse { accounts, next_page_token }))
}

fn decode(request: &wire::ListAccountsRequest, call: &Call) -> Decoded<ListAccounts> {
    let (tenant, own) = (call.tenant()?, own_customer(call)?);
    // All that decides which accounts there are.
    let arguments = (tenant.id, own, &request.filter);
    let (size, token) = (request.page_size, &request.page_token);
    Ok(ListAccounts {
        tenant: tenant.id,
        own,
        filter: filter::parse(&request.filter).at("filter")?,
        page: Page::decode(&tenant.key, QUERY, &arguments, size, token)?,
    })
}

/// A page. What stops its accounts is looked up for those that are on it only.
async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: ListAccounts,
) -> Result<(Vec<wire::Account>, String), Error> {
    let (bytes_max, now) = (rpc.message_bytes_max, rpc.clock.now());
    let read = move |conn: &mut PgConnection| {
        let ListAccounts { tenant, own, filter, page } = &list;
        let walk = Walk { tenant: *tenant, filter, own: *own, now };
        let candidates =
            |after: Option<&AccountPosition>, limit| walk.candidates(conn, after, limit);
        let keep = |one: &Candidate| one.is_kept(filter);
        let found = Found::among(page, candidates, Candidate::position, keep)?;
        page.load(found, bytes_max, Candidate::position, Candidate::bytes, |some| {
            let accounts: Vec<Account> = some.iter().map(|one| one.account.clone()).collect();
            let positions = positions::of(conn, *tenant, accounts, now)?;
            Ok(positions.iter().map(|position| encode::account(position, now)).collect())
        })
    };
    rpc.db.read("list_accounts", call.scope(), read).await
}
