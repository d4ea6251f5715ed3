//! `BatchGetRecords`.

use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::reading::{self, Ask};
use super::{Rpc, encode, get_record};
use crate::domain::access::Action;
use crate::domain::record::RecordId;

/// The most records of one request.
const RECORDS_MAX: usize = 100;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::BatchGetRecordsRequest>,
) -> Result<Response<wire::BatchGetRecordsResponse>, Status> {
    let call = Call::of(&request)?;
    let records = handle(rpc, &call, decode(request.into_inner())?).await?;
    Ok(Response::new(wire::BatchGetRecordsResponse { records }))
}

fn decode(request: wire::BatchGetRecordsRequest) -> Decoded<Ask> {
    let target = |(index, name): (usize, &String)| {
        Ok((RecordId::parse_name(name).at_index("names", index)?, 0))
    };
    let names = &request.names;
    count(names.len()).at("names")?;
    Ok(Ask {
        targets: names.iter().enumerate().map(target).collect::<Decoded<_>>()?,
        view: get_record::view(request.view).at("view")?,
        purpose: request.purpose,
        action: Action::GET_RECORD,
    })
}

fn count(names: usize) -> Decoded<()> {
    match names {
        0 => Err(invalid("must have at least one")),
        names if names > RECORDS_MAX => {
            let sentence = format!("must have at most {RECORDS_MAX}, and have {names}");
            let problem = Problem::new(Reason::TooManyItems, sentence).in_field("");
            Err(Box::new(problem.figure("count", names).figure("limit", RECORDS_MAX)))
        }
        _ => Ok(()),
    }
}

async fn handle(rpc: &Rpc, call: &Call, ask: Ask) -> Result<Vec<wire::Record>, Problem> {
    let view = ask.view;
    let granted = reading::read_for_answer(rpc, call, ask).await?;
    let contents = reading::show(rpc, &granted, view).await?;
    let records = granted.into_iter().zip(contents);
    Ok(records.map(|(granted, content)| encode::record(granted.record, view, content)).collect())
}
