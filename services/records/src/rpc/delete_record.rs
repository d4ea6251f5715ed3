//! `RecordService.DeleteRecord`.

use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::lifecycle::{Asked, Step, handle};
use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::store::record_changes;

const DELETE: Step = Step {
    operation: "delete-record",
    unit: "delete_record",
    action: Action::DELETE_RECORD,
    event: "record.deleted",
    decide: |conn, found| {
        found.not_erased()?;
        let deleted = found.record.clone().delete(found.now)?;
        found.allow_delete(conn)?;
        Ok(deleted)
    },
    write: record_changes::update,
};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::DeleteRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let wire::DeleteRecordRequest { name, etag, request_id, validate_only } = request.into_inner();
    let asked = Asked::decode(&name, etag, request_id, validate_only)?;
    Ok(handle(rpc, &call, DELETE, asked).await?.respond(encode::basic))
}
