//! `SubjectService.ExportSubject`.
//!
//! The export is decided and logged before its first line, and every version again before its
//! content is opened. What is in memory is a few versions without their bodies, one body or two
//! segments of one, and two parts of the answer.

mod content;
mod lines;
mod send;

use diesel::PgConnection;
use shared::field::At as _;
use shared::grpc::Call;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::send::Sending;
use super::{Rpc, governance, reading};
use crate::domain::access::{Access, Action};
use crate::domain::purpose::Purpose;
use crate::domain::record::View;
use crate::domain::subject::{Subject, SubjectId};
use crate::error::Error;
use crate::store::{accesses, subjects};

/// Parts that wait for the caller.
const PARTS_AHEAD: usize = 2;

/// The answers, as they are made.
pub(super) type Frames = ReceiverStream<Result<wire::ExportSubjectResponse, Status>>;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ExportSubjectRequest>,
) -> Result<Response<Frames>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let id = SubjectId::parse_name(&request.name).at("name")?;
    let place = rpc.streams.place()?;
    let asked = Purpose::parse(&request.purpose);
    let mut access = rpc.access(&call, Action::EXPORT_SUBJECT);
    (access.subject, access.view) = (Some(id), Some(View::Full));
    access.purpose = asked.as_ref().ok().copied();
    let purpose = asked.and_then(|purpose| reading::may_use(&call, purpose));
    let decided = decide(rpc, &call, id, purpose, access.clone()).await;
    let subject = governance::audited(rpc, &call, access, decided).await?;
    let (parts, answers) = mpsc::channel(PARTS_AHEAD);
    Sending::new(rpc, &call, subject, request.purpose, parts).spawn(place);
    Ok(Response::new(ReceiverStream::new(answers)))
}

/// Whether there is somebody whose data may be read, which is logged.
async fn decide(
    rpc: &Rpc,
    call: &Call,
    id: SubjectId,
    purpose: Result<Purpose, Problem>,
    access: Access,
) -> Result<Subject, Problem> {
    let tenant = call.tenant_id()?;
    let act = move |conn: &mut PgConnection| {
        let subject = subjects::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        subject.state.allow_read(id, purpose.clone()?)?;
        accesses::insert(conn, tenant, &access)?;
        Ok::<_, Error>(subject)
    };
    let subject = rpc.db.write("begin_export", call.scope(), act).await.map_err(Problem::from)?;
    rpc.nudge.tenant(tenant);
    Ok(subject)
}
