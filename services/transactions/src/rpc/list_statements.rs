//! `StatementService.ListStatements`.

use shared::field::At as _;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, statements};
use crate::domain::{AccountId, Statement};
use crate::error::Error;
use crate::store;
use crate::store::ledger_accounts;
use crate::store::statements::Place;

const QUERY: &str = "list-statements";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListStatementsRequest>,
) -> Result<Response<wire::ListStatementsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let account = AccountId::parse_name(&request.account).at("account")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, account), size, token)?;
    let found = handle(rpc, &call, account, &page).await?;
    let (statements, next_page_token) =
        page.fill(found, rpc.message_bytes_max, Place::of, statements::statement);
    Ok(Response::new(wire::ListStatementsResponse { statements, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    account: AccountId,
    page: &Page<Place>,
) -> Result<Found<Statement, Place>, Error> {
    let (tenant, after, limit) = (call.tenant_id()?, page.after, page.limit());
    let read = rpc.db.read("list_statements", call.scope(), move |conn| {
        ledger_accounts::select(conn, tenant, account)?.ok_or_else(|| account.not_found())?;
        Ok::<_, Error>(store::statements::list(conn, tenant, account, after, limit)?)
    });
    read.await.map(Found::all)
}
