//! `StatementService.ListStatementLines`.

use shared::field::At as _;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, statements};
use crate::domain::{Statement, StatementLine, StatementName};
use crate::error::Error;
use crate::store;
use crate::store::statement_lines;

const QUERY: &str = "list-statement-lines";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListStatementLinesRequest>,
) -> Result<Response<wire::ListStatementLinesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let name = StatementName::parse(&request.name).at("name")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.name), size, token)?;
    let (statement, found) = handle(rpc, &call, name, &page).await?;
    let place = |line: &StatementLine| line.line;
    let encode = |line| statements::line(&statement.head, line);
    let (lines, next_page_token) = page.fill(found, rpc.message_bytes_max, place, encode);
    Ok(Response::new(wire::ListStatementLinesResponse { lines, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    name: StatementName,
    page: &Page<i64>,
) -> Result<(Statement, Found<StatementLine, i64>), Error> {
    let (tenant, after, limit) = (call.tenant_id()?, page.after.unwrap_or(0), page.limit());
    let read = rpc.db.read("list_statement_lines", call.scope(), move |conn| {
        let statement = store::statements::select(conn, tenant, name)?;
        let statement = statement.ok_or_else(|| name.not_found())?;
        let lines = statement_lines::select(conn, tenant, name.id, after, limit)?;
        Ok::<_, Error>((statement, Found::all(lines)))
    });
    read.await
}
