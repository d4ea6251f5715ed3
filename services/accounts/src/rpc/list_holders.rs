//! `ListHolders`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{AccountId, Holder, HolderPosition};
use crate::error::Error;
use crate::store::{account_holders, accounts};

const QUERY: &str = "list-holders";

struct ListHolders {
    account: AccountId,
    show_ended: bool,
    page: Page<HolderPosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListHoldersRequest>,
) -> Result<Response<wire::ListHoldersResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let found = handle(rpc, &call, &list).await?;
    let (holders, next_page_token) =
        list.page.fill(found, rpc.message_bytes_max, Holder::position, encode::holder);
    Ok(Response::new(wire::ListHoldersResponse { holders, next_page_token }))
}

fn decode(request: &wire::ListHoldersRequest, call: &Call) -> Decoded<ListHolders> {
    let (tenant, show_ended) = (call.tenant()?, request.show_ended);
    let account = AccountId::parse_name(&request.parent).at("parent")?;
    let arguments = (tenant.id, account, show_ended);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    Ok(ListHolders { account, show_ended, page })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListHolders,
) -> Result<Found<Holder, HolderPosition>, Error> {
    let (tenant, now, account) = (call.tenant_id()?, rpc.clock.now(), list.account);
    let (page, show_ended) = (list.page.clone(), list.show_ended);
    let read = move |conn: &mut PgConnection| {
        let found = accounts::select(conn, tenant, account)?;
        found.ok_or_else(|| account.not_found())?;
        let candidates = |after: Option<&HolderPosition>, limit| {
            account_holders::list(conn, tenant, account, after, limit)
        };
        let is_shown = |found: &Holder| show_ended || !found.span.is_over(now);
        Ok::<_, Error>(Found::among(&page, candidates, Holder::position, is_shown)?)
    };
    rpc.db.read("list_holders", call.scope(), read).await
}
