//! `RecordService.GetUpload`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use crate::domain::upload::{Upload, UploadId};
use crate::error::Error;
use crate::store::uploads;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetUploadRequest>,
) -> Result<Response<wire::Upload>, Status> {
    let call = Call::of(&request)?;
    let (tenant, id) =
        (call.tenant_id()?, UploadId::parse_name(&request.get_ref().name).at("name")?);
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(uploads::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    let upload = rpc.db.read("get_upload", call.scope(), read).await?;
    Ok(Response::new(encode(&upload)))
}

fn encode(upload: &Upload) -> wire::Upload {
    let state = match upload.done_time {
        None => wire::upload::State::Open,
        Some(_) => wire::upload::State::Done,
    };
    wire::Upload {
        name: upload.id.name(),
        state: state.into(),
        received_bytes: i64::try_from(upload.received).unwrap_or(i64::MAX),
        record: upload.record.name(),
        create_time: Some(upload.create_time.encode()),
        expire_time: Some(upload.expire_time.encode()),
    }
}
