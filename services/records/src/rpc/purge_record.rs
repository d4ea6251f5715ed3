//! `RecordService.PurgeRecord`.

use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::lifecycle::{Asked, Step, handle};
use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::store::purges;

const PURGE: Step = Step {
    operation: "purge-record",
    unit: "purge_record",
    action: Action::PURGE_RECORD,
    event: "record.purged",
    decide: |conn, found| {
        found.record.allow_purge()?;
        found.allow_purge(conn)?;
        Ok(found.record.clone().purge(found.now))
    },
    write: purges::destroy,
};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::PurgeRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let wire::PurgeRecordRequest { name, etag, request_id, validate_only } = request.into_inner();
    let asked = Asked::decode(&name, etag, request_id, validate_only)?;
    Ok(handle(rpc, &call, PURGE, asked).await?.respond(encode::basic))
}
