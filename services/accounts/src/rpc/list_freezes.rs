//! `ListFreezes`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::money::Currency;
use shared::page::{Found, Page};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{Freeze, FreezePosition, FreezeState, Frozen};
use crate::error::Error;
use crate::store::{accounts, customers, freezes};

const QUERY: &str = "list-freezes";

struct ListFreezes {
    of: Frozen,
    show_ended: bool,
    page: Page<FreezePosition>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListFreezesRequest>,
) -> Result<Response<wire::ListFreezesResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(request.get_ref(), &call)?;
    let (found, currency) = handle(rpc, &call, &list).await?;
    let now = rpc.clock.now();
    let encode = |freeze| encode::freeze(freeze, currency, now);
    let (freezes, next_page_token) =
        list.page.fill(found, rpc.message_bytes_max, Freeze::position, encode);
    Ok(Response::new(wire::ListFreezesResponse { freezes, next_page_token }))
}

fn decode(request: &wire::ListFreezesRequest, call: &Call) -> Decoded<ListFreezes> {
    let (tenant, show_ended) = (call.tenant()?, request.show_ended);
    let of = Frozen::parse_name(&request.parent).at("parent")?;
    let arguments = (tenant.id, of, show_ended);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    Ok(ListFreezes { of, show_ended, page })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListFreezes,
) -> Result<(Found<Freeze, FreezePosition>, Option<Currency>), Error> {
    let (tenant, now, of) = (call.tenant_id()?, rpc.clock.now(), list.of);
    let (page, show_ended) = (list.page.clone(), list.show_ended);
    let read = move |conn: &mut PgConnection| {
        let currency = match of {
            Frozen::Account(id) => {
                let account = accounts::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
                Some(account.terms.currency)
            }
            Frozen::Customer(id) => {
                customers::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
                None
            }
        };
        let candidates =
            |after: Option<&FreezePosition>, limit| freezes::list(conn, tenant, of, after, limit);
        let is_shown = |freeze: &Freeze| show_ended || freeze.state_at(now) == FreezeState::Active;
        let found = Found::among(&page, candidates, Freeze::position, is_shown)?;
        Ok::<_, Error>((found, currency))
    };
    rpc.db.read("list_freezes", call.scope(), read).await
}
