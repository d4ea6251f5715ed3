//! `RecordService.ListRecordVersions`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use crate::domain::record::RecordId;
use crate::domain::record_version::{self, RecordVersion};
use crate::error::Error;
use crate::store::{record_versions, records};

const QUERY: &str = "list-record-versions";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRecordVersionsRequest>,
) -> Result<Response<wire::ListRecordVersionsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let id = RecordId::parse_name(&request.parent).at("parent")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, id), size, token)?;
    let (versions, next_page_token) = handle(rpc, &call, id, page).await?;
    Ok(Response::new(wire::ListRecordVersionsResponse { versions, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    id: RecordId,
    page: Page<i64>,
) -> Result<(Vec<wire::RecordVersion>, String), Error> {
    let (tenant, bytes_max) = (call.tenant_id()?, rpc.message_bytes_max);
    let read = move |conn: &mut PgConnection| {
        if !records::exists(conn, tenant, id)? {
            return Err(id.not_found().into());
        }
        let before = page.after.unwrap_or(i64::MAX);
        let found = record_versions::list(conn, tenant, id, before, page.limit())?;
        Ok(page.fill(Found::all(found), bytes_max, |one| one.version, |one| encode(&one)))
    };
    rpc.db.read("list_record_versions", call.scope(), read).await
}

fn encode(version: &RecordVersion) -> wire::RecordVersion {
    wire::RecordVersion {
        name: record_version::name(version.record, version.version),
        version: version.version,
        content_type: version.content_type.to_string(),
        size_bytes: version.size,
        create_time: Some(version.create_time.encode()),
    }
}
