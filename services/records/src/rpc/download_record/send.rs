//! The frames of a download, sent as fast as the caller takes them.
//!
//! At most three segments are in memory: the one whose frames are sent, and the next one, sealed
//! and opened.

use std::ops::Range;
use std::time::Duration;

use aws_lc_rs::digest;
use diesel::PgConnection;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::grpc::call::with_trace_id;
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::codegen::Bytes;
use tracing::Instrument as _;
use wire::download_record_response::Frame;

use super::{Source, header};
use crate::domain::upload::FRAME_MAX;
use crate::error::Error;
use crate::rpc::reading::{self, Granted};
use crate::rpc::{Rpc, offload};
use crate::store::records;
use crate::vault::segments::{Body, Piece};

/// How long a look may take at what became of a version.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A download under way.
pub(super) struct Sending {
    pub(super) rpc: Rpc,
    pub(super) call: Call,
    pub(super) granted: Granted,
    pub(super) source: Source,
    pub(super) range: Range<u64>,
    pub(super) frames: mpsc::Sender<Result<wire::DownloadRecordResponse, Status>>,
}

/// Why a download ends.
enum End {
    /// The caller has gone.
    Gone,
    /// Something failed.
    Failed(Status),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem.into())
    }
}

impl Sending {
    /// Sends everything in a task of its own, which ends with the caller or the service.
    pub(super) fn spawn(self, place: OwnedSemaphorePermit) {
        let trace_id = self.call.trace_id.clone();
        let send = async move {
            let frames = self.frames.clone();
            let end = tokio::select! {
                end = self.send() => end,
                () = frames.closed() => Err(End::Gone),
                () = self.rpc.shutdown.cancelled() => Err(shutting_down()),
            };
            let rpc = self.rpc.clone();
            // Whoever does not read any more keeps neither memory nor a place.
            drop((self, place));
            if let Err(End::Failed(status)) = end {
                tokio::select! {
                    _ = frames.send(Err(status)) => {}
                    () = rpc.shutdown.cancelled() => {}
                }
            }
        };
        tokio::spawn(with_trace_id(trace_id, send).in_current_span());
    }

    async fn send(&self) -> Result<(), End> {
        self.frame(header(&self.granted, &self.range)).await?;
        let mut sha256 = digest::Context::new(&digest::SHA256);
        match &self.source {
            Source::Small(content) => {
                let within = |at| usize::try_from(at).unwrap_or(content.len());
                let content = content.slice(within(self.range.start)..within(self.range.end));
                sha256 = self.content(content, sha256).await?;
            }
            Source::Large(body) => {
                let mut pieces = body.pieces(self.range.clone());
                let mut next = pieces.next().map(|piece| ahead(body, piece));
                while let Some(read) = next.take() {
                    let content = self.opened(read.await).await?;
                    next = pieces.next().map(|piece| ahead(body, piece));
                    sha256 = self.content(content, sha256).await?;
                }
            }
        }
        let sha256 = Bytes::copy_from_slice(sha256.finish().as_ref());
        self.frame(Frame::Sha256(sha256)).await
    }

    /// Sends content in frames, and takes it into the hash.
    async fn content(
        &self,
        mut content: Bytes,
        mut sha256: digest::Context,
    ) -> Result<digest::Context, End> {
        let hashed = content.clone();
        let hash = move || {
            sha256.update(&hashed);
            sha256
        };
        let sha256 = offload(content.len(), hash).await?;
        while !content.is_empty() {
            let frame = content.split_to(FRAME_MAX.min(content.len()));
            self.frame(Frame::Content(frame)).await?;
        }
        Ok(sha256)
    }

    async fn frame(&self, frame: Frame) -> Result<(), End> {
        let answer = wire::DownloadRecordResponse { frame: Some(frame) };
        let sent = self.frames.send(Ok(answer));
        match tokio::time::timeout(self.rpc.streams.idle, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                let message = "The caller did not take the next frame in time.";
                Err(Problem::new(Reason::Deadline, message).into())
            }
        }
    }

    /// What was read ahead. Content that does not open is logged, unless it has been destroyed or
    /// sealed anew since.
    async fn opened(
        &self,
        read: Result<Result<Bytes, Error>, tokio::task::JoinError>,
    ) -> Result<Bytes, Problem> {
        let error = match read {
            Ok(Ok(content)) => return Ok(content),
            Ok(Err(error)) => error,
            Err(_) => return Err(Problem::internal()),
        };
        if error.is_broken() && self.has_changed().await? {
            let message = "The content was destroyed or sealed anew. Ask for the rest of it again.";
            return Err(Problem::new(Reason::Contention, message));
        }
        let problem = Problem::from(error);
        reading::withhold(&self.rpc, &self.granted, problem.reason).await;
        Err(problem)
    }

    async fn has_changed(&self) -> Result<bool, Problem> {
        let (tenant, record) = (self.call.tenant_id()?, &self.granted.record);
        let (id, version) = (record.id, record.version);
        let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
        let read = move |conn: &mut PgConnection| {
            Ok::<_, Error>(records::select_sealed(conn, tenant, id, version)?)
        };
        let now = self.rpc.db.read("get_sealed", scope, read).await?;
        let key = |sealed: &records::Sealed| (sealed.data_key_id, sealed.data_key.is_some());
        Ok(now.as_ref().map(key) != self.granted.sealed.as_ref().map(key))
    }
}

/// Begins to read a piece.
fn ahead(body: &Body, piece: Piece) -> AbortOnDropHandle<Result<Bytes, Error>> {
    let body = body.clone();
    let read = async move {
        let mut content = body.read(piece).await?;
        Ok(Bytes::from(std::mem::take(&mut *content)))
    };
    AbortOnDropHandle::new(tokio::spawn(read.in_current_span()))
}

fn shutting_down() -> End {
    End::Failed(Status::unavailable("The server is shutting down."))
}
