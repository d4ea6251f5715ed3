//! `RecordTypeService.GetRecordType`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, record_types};
use crate::domain::record_type::RecordType;
use crate::error::Error;
use crate::store;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetRecordTypeRequest>,
) -> Result<Response<wire::RecordType>, Status> {
    let call = Call::of(&request)?;
    let id = record_types::parse_name(&request.into_inner().name).at("name")?;
    Ok(Response::new(record_types::encode(find(rpc, &call, id).await?)))
}

/// A type, or `RESOURCE_NOT_FOUND`.
pub(super) async fn find(rpc: &Rpc, call: &Call, id: String) -> Result<RecordType, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = store::record_types::select(conn, tenant, &id)?;
        Ok(found.ok_or_else(|| record_types::not_found(&id))?)
    };
    rpc.db.read("get_record_type", call.scope(), read).await
}
