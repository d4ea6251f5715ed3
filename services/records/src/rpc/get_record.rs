//! `GetRecord`.

use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::reading::{self, Ask};
use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::domain::record::{Record, RecordId, View};

struct GetRecord {
    id: RecordId,
    version: i64,
    view: View,
    purpose: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetRecordRequest>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let view = command.view;
    let (record, content) = handle(rpc, &call, command).await?;
    Ok(Response::new(encode::record(record, view, content)))
}

fn decode(request: wire::GetRecordRequest) -> Decoded<GetRecord> {
    Ok(GetRecord {
        id: RecordId::parse_name(&request.name).at("name")?,
        version: version(request.version).at("version")?,
        view: view(request.view).at("view")?,
        purpose: request.purpose,
    })
}

/// A version; the last where it is 0.
pub(super) fn version(version: i64) -> Decoded<i64> {
    if version < 0 { Err(invalid("must not be negative")) } else { Ok(version) }
}

/// A view; MASKED where it is absent.
pub(super) fn view(view: i32) -> Decoded<View> {
    match wire::RecordView::try_from(view) {
        Ok(wire::RecordView::Basic) => Ok(View::Basic),
        Ok(wire::RecordView::Unspecified | wire::RecordView::Masked) => Ok(View::Masked),
        Ok(wire::RecordView::Full) => Ok(View::Full),
        Err(_) => Err(invalid("must be BASIC, MASKED or FULL")),
    }
}

/// Decides, logs, opens, and only then answers: where the log cannot be written nothing leaves.
async fn handle(rpc: &Rpc, call: &Call, command: GetRecord) -> Result<(Record, Vec<u8>), Problem> {
    let GetRecord { id, version, view, purpose } = command;
    let action = Action::GET_RECORD;
    let ask = Ask { targets: vec![(id, version)], view, purpose, action };
    let granted = reading::read_for_answer(rpc, call, ask).await?;
    let contents = reading::show(rpc, &granted, view).await?;
    let answer = granted.into_iter().map(|granted| granted.record).zip(contents).next();
    answer.ok_or_else(Problem::internal)
}
