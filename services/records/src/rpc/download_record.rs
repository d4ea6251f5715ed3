//! `RecordService.DownloadRecord`.
//!
//! It is a FULL read: decided and logged before anything is opened. What vouches for the end of the
//! content is opened before the first frame, and every frame comes from chunks that have opened.

mod send;

use std::ops::Range;

use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tokio::sync::mpsc;
use tonic::codegen::Bytes;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wire::download_record_response::Frame;

use self::send::Sending;
use super::reading::{self, Ask, Granted};
use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::domain::record::{RecordId, View};
use crate::error::Error;
use crate::vault::segments::Body;

/// Frames that wait for the caller.
const FRAMES_AHEAD: usize = 2;

/// The answers, as they are made.
pub(super) type Frames = ReceiverStream<Result<wire::DownloadRecordResponse, Status>>;

struct DownloadRecord {
    id: RecordId,
    version: i64,
    purpose: String,
    offset: u64,
    length: u64,
}

/// Where content comes from.
enum Source {
    /// All of it, opened.
    Small(Bytes),
    /// Segments.
    Large(Body),
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::DownloadRecordRequest>,
) -> Result<Response<Frames>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let place = rpc.streams.place()?;
    let ask = Ask {
        targets: vec![(command.id, command.version)],
        view: View::Full,
        purpose: command.purpose.clone(),
        action: Action::GET_RECORD,
    };
    let granted = reading::read(rpc, &call, ask).await?.pop().ok_or_else(Problem::internal)?;
    let source = open(rpc, &call, &granted).await?;
    let range = match range(&command, granted.record.size) {
        Ok(range) => range,
        Err(problem) => {
            let problem = Problem::from(problem);
            reading::withhold(rpc, &granted, problem.reason).await;
            return Err(problem.into());
        }
    };
    let (frames, answers) = mpsc::channel(FRAMES_AHEAD);
    let sending = Sending { rpc: rpc.clone(), call, granted, source, range, frames };
    sending.spawn(place);
    Ok(Response::new(ReceiverStream::new(answers)))
}

fn decode(request: wire::DownloadRecordRequest) -> Decoded<DownloadRecord> {
    let positive = |value: i64| u64::try_from(value).map_err(|_| invalid("must not be below 0"));
    if request.version < 0 {
        return Err(invalid("must not be below 0")).at("version");
    }
    Ok(DownloadRecord {
        id: RecordId::parse_name(&request.name).at("name")?,
        version: request.version,
        purpose: request.purpose,
        offset: positive(request.offset).at("offset")?,
        length: positive(request.length).at("length")?,
    })
}

/// The range that is asked for, within the content.
fn range(command: &DownloadRecord, size: i64) -> Decoded<Range<u64>> {
    let size = u64::try_from(size).unwrap_or(0);
    let DownloadRecord { offset, length, .. } = *command;
    if offset >= size {
        return Err(invalid(format!("must be below {size}, where the content ends"))).at("offset");
    }
    let end = if length == 0 { size } else { offset.saturating_add(length).min(size) };
    Ok(offset..end)
}

/// Opens what small content is, and the end of other content. A failure is logged.
async fn open(rpc: &Rpc, call: &Call, granted: &Granted) -> Result<Source, Problem> {
    let is_large = granted.sealed.as_ref().is_some_and(|sealed| sealed.segments.is_some());
    if !is_large {
        let mut content = reading::open(rpc, granted).await?;
        return Ok(Source::Small(std::mem::take(&mut *content).into()));
    }
    match body(rpc, call, granted).await {
        Ok(body) => Ok(Source::Large(body)),
        Err(error) => {
            let problem = Problem::from(error);
            reading::withhold(rpc, granted, problem.reason).await;
            Err(problem)
        }
    }
}

async fn body(rpc: &Rpc, call: &Call, granted: &Granted) -> Result<Body, Error> {
    let (sealed, chain) = reading::sealed(rpc, granted).await?;
    let key = rpc.vault.subject_key(&chain).await?;
    let body = Body::open(&rpc.objects, call.tenant_id()?, &granted.record, &sealed, &key)?;
    body.check_end().await?;
    Ok(body)
}

fn header(granted: &Granted, range: &Range<u64>) -> Frame {
    let length = range.end - range.start;
    Frame::Header(wire::DownloadHeader {
        record: Some(encode::record(granted.record.clone(), View::Basic, Vec::new())),
        offset: i64::try_from(range.start).unwrap_or(i64::MAX),
        length: i64::try_from(length).unwrap_or(i64::MAX),
    })
}
