//! `RecordService.UploadRecord`.
//!
//! A stream takes the lease of its upload ([`begin`]), cuts what arrives into segments and puts
//! them one by one ([`intake`]), and makes them a version of the record in one transaction
//! ([`write`]). What the upload's row says is in the object store: after a crash the next stream
//! goes on from there. Small content is sealed at the end, as CreateRecord does it.

mod begin;
mod finish;
mod frames;
mod header;
mod intake;
mod lease;
mod look;
mod write;
mod writer;

use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status, Streaming};

use self::begin::{Begun, Open};
use self::frames::{Frame, Frames};
use self::intake::Intake;
use self::lease::Held;
use super::{Rpc, encode};
use crate::domain::record::{Record, View};
use crate::domain::upload;
use crate::error::Error;

const OPERATION: &str = "upload-record";

/// Why an upload does not go on.
enum Stop {
    /// What is kept stays, and a new stream may go on with it.
    Paused(Status),
    /// It can never be completed: what is kept goes.
    Void(Problem),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Paused(status)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        // The same request id gets the same refusal from now on.
        let is_void = problem.is_frozen() || problem == upload::begin_anew();
        if is_void { Self::Void(problem) } else { Self::Paused(problem.into()) }
    }
}

impl Stop {
    /// A refusal of what is asked for: another try would end in the same way.
    fn refused(problem: Problem) -> Self {
        match problem.reason {
            Reason::FieldInvalid | Reason::IdTaken | Reason::EtagMismatch => Self::Void(problem),
            _ => problem.into(),
        }
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<Streaming<wire::UploadRecordRequest>>,
) -> Result<Response<wire::Record>, Status> {
    let call = Call::of(&request)?;
    let mut frames = Frames::new(request.into_inner(), rpc.streams.idle);
    let Some(Frame::Header(header)) = frames.next().await? else {
        return Err(frames::out_of_order("header", "must be the first frame").into());
    };
    let command = header::decode(*header)?;
    let answer = match begin::begin(rpc, &call, command).await? {
        Begun::Before(record) => Created::Before(*record),
        Begun::Now(begun) => {
            let (open, lease) = *begun;
            Created::Now(Box::pin(stream(rpc, &call, open, lease, frames)).await?)
        }
    };
    Ok(answer.respond(|record| encode::record(record, View::Basic, Vec::new())))
}

/// Takes in what is left of the content, for as long as the stream holds the lease.
async fn stream(
    rpc: &Rpc,
    call: &Call,
    open: Open,
    lease: Held,
    frames: Frames,
) -> Result<Record, Status> {
    let end = tokio::select! {
        end = receive(rpc, call, &open, frames) => end,
        lost = lease.keep() => Err(lost),
        () = rpc.shutdown.cancelled() => {
            Err(Stop::Paused(Status::unavailable("The server is shutting down.")))
        }
    };
    match end {
        Ok(record) => {
            lease.done();
            Ok(record)
        }
        Err(Stop::Paused(status)) => {
            lease.release().await;
            Err(status)
        }
        Err(Stop::Void(problem)) => {
            lease.abandon().await;
            Err(problem.into())
        }
    }
}

async fn receive(rpc: &Rpc, call: &Call, open: &Open, mut frames: Frames) -> Result<Record, Stop> {
    let mut intake = Intake::new(rpc, call, open).await?;
    loop {
        match frames.next().await? {
            Some(Frame::Content(content)) => intake.add(content).await?,
            Some(Frame::Sha256(sha256)) => {
                if frames.next().await?.is_some() {
                    return Err(frames::out_of_order("sha256", "must be the last frame").into());
                }
                let whole = intake.finish().await?;
                return finish::finish(rpc, call, open, whole, sha256).await;
            }
            Some(Frame::Header(_)) => {
                return Err(frames::out_of_order("header", "must come once").into());
            }
            None => {
                let sentence = "must be given: what came before it is kept";
                return Err(frames::out_of_order("sha256", sentence).into());
            }
        }
    }
}

/// What another stream has taken over.
fn lost() -> Problem {
    let message = "Another stream has taken the upload over.";
    Problem::new(Reason::RequestInProgress, message)
}
