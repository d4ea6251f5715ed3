//! `RecordTypeService.ListRecordTypes`.

use diesel::PgConnection;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, record_types};
use crate::error::Error;
use crate::store::record_types::{Candidate, candidates, select_all};

const QUERY: &str = "list-record-types";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRecordTypesRequest>,
) -> Result<Response<wire::ListRecordTypesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &tenant.id, size, token)?;
    let (record_types, next_page_token) = handle(rpc, &call, page).await?;
    Ok(Response::new(wire::ListRecordTypesResponse { record_types, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    page: Page<String>,
) -> Result<(Vec<wire::RecordType>, String), Error> {
    let (tenant, bytes_max) = (call.tenant_id()?, rpc.message_bytes_max);
    let read = move |conn: &mut PgConnection| {
        let after = page.after.as_deref().unwrap_or_default();
        let found = Found::all(candidates(conn, tenant, after, page.limit())?);
        let place = |one: &Candidate| one.id.clone();
        page.load(found, bytes_max, place, Candidate::bytes, |some| {
            let ids = some.iter().map(|one| one.id.as_str()).collect();
            let kinds = select_all(conn, tenant, ids)?;
            Ok::<_, Error>(kinds.into_iter().map(record_types::encode).collect())
        })
    };
    rpc.db.read("list_record_types", call.scope(), read).await
}
