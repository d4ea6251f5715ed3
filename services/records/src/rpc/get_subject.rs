//! `SubjectService.GetSubject`.

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::subjects;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetSubjectRequest>,
) -> Result<Response<wire::Subject>, Status> {
    let call = Call::of(&request)?;
    let id = SubjectId::parse_name(&request.get_ref().name).at("name")?;
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(subjects::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    let subject = rpc.db.read("get_subject", call.scope(), read).await?;
    Ok(Response::new(encode::subject(&subject)))
}
