//! `RecordService.UndeleteRecord`.

use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::lifecycle::{Asked, Step, handle};
use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::store::record_changes;

const UNDELETE: Step = Step {
    operation: "undelete-record",
    unit: "undelete_record",
    action: Action::DELETE_RECORD,
    event: "record.undeleted",
    decide: |_, found| {
        found.not_erased()?;
        Ok(found.record.clone().undelete()?)
    },
    write: record_changes::update,
};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UndeleteRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let wire::UndeleteRecordRequest { name, etag, request_id, validate_only } = request;
    let asked = Asked::decode(&name, etag, request_id, validate_only)?;
    Ok(handle(rpc, &call, UNDELETE, asked).await?.respond(encode::basic))
}
