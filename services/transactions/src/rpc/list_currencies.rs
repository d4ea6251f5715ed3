//! `CurrencyService.ListCurrencies`.

use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, currencies};
use crate::error::Error;
use crate::store;
use crate::store::currencies::Registered;

const QUERY: &str = "list-currencies";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListCurrenciesRequest>,
) -> Result<Response<wire::ListCurrenciesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (size, token) = (request.get_ref().page_size, &request.get_ref().page_token);
    let page = Page::decode(&tenant.key, QUERY, &tenant.id, size, token)?;
    let found = handle(rpc, &call, &page).await?;
    let code = |one: &Registered| one.currency.code().to_owned();
    let (currencies, next_page_token) =
        page.fill(found, rpc.message_bytes_max, code, currencies::encode);
    Ok(Response::new(wire::ListCurrenciesResponse { currencies, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    page: &Page<String>,
) -> Result<Found<Registered, String>, Error> {
    let (tenant, limit) = (call.tenant_id()?, page.limit());
    let after = page.after.clone().unwrap_or_default();
    let read = rpc.db.read("list_currencies", call.scope(), move |conn| {
        Ok::<_, Error>(store::currencies::list(conn, tenant, &after, limit)?)
    });
    read.await.map(Found::all)
}
