//! The floor of the streams: the same frames into files and out of them, with the same hash,
//! flushed to the disk, and nothing sealed, logged or proven.

use std::path::PathBuf;
use std::pin::Pin;

use aws_lc_rs::digest::{Context, SHA256};
use strongroom_proto::records::v1 as wire;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::codegen::Bytes;
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use wire::download_record_response::Frame as Answer;
use wire::record_service_server::{RecordService, RecordServiceServer};
use wire::upload_record_request::Frame;

use super::unique;
use crate::bench::child::serve_with;
use crate::bench::error::BenchError;

/// Bytes of a frame, and of a file: as large as the service's segments.
const FRAME: usize = 256 << 10;
const SEGMENT: usize = 4 << 20;

/// `main` of the process that seals nothing: it keeps what it gets in the folder of
/// `STRONGROOM_BENCH_FOLDER`.
pub(in crate::bench) async fn serve() -> Result<(), BenchError> {
    let folder = std::env::var_os("STRONGROOM_BENCH_FOLDER").map(PathBuf::from);
    let folder = folder.ok_or_else(|| BenchError::Service("it has no folder".to_owned()))?;
    serve_with(async |listener, shutdown| {
        let incoming = futures_util::stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            if let Ok(stream) = &accepted {
                let _ = stream.set_nodelay(true);
            }
            Some((accepted, listener))
        });
        let service = RecordServiceServer::new(Unsealed { folder });
        Server::builder()
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
            .await
    })
    .await
}

struct Unsealed {
    folder: PathBuf,
}

impl Unsealed {
    async fn keep(&self, mut frames: Streaming<wire::UploadRecordRequest>) -> Kept {
        let name = unique();
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).await.map_err(failed)?;
        let (mut hash, mut segment, mut segments) = (Context::new(&SHA256), Vec::new(), 0);
        while let Some(message) = frames.message().await? {
            match message.frame {
                Some(Frame::Content(content)) => {
                    hash.update(&content);
                    segment.extend_from_slice(&content);
                    if segment.len() >= SEGMENT {
                        write(&folder, segments, &segment).await?;
                        segment.clear();
                        segments += 1;
                    }
                }
                Some(Frame::Sha256(told)) => {
                    if told != hash.clone().finish().as_ref() {
                        return Err(Status::invalid_argument("another hash"));
                    }
                }
                Some(Frame::Header(_)) | None => {}
            }
        }
        write(&folder, segments, &segment).await?;
        Ok(name)
    }
}

type Kept = Result<String, Status>;

async fn write(folder: &std::path::Path, number: usize, content: &[u8]) -> Result<(), Status> {
    let mut file = File::create(folder.join(number.to_string())).await.map_err(failed)?;
    file.write_all(content).await.map_err(failed)?;
    file.sync_all().await.map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: std::io::Error) -> Status {
    Status::internal(error.to_string())
}

/// What is read, frame by frame.
struct Reading {
    folder: PathBuf,
    number: usize,
    file: Option<File>,
    hash: Option<Context>,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<wire::DownloadRecordResponse, Status>, Self)> {
        let frame = |frame| wire::DownloadRecordResponse { frame: Some(frame) };
        loop {
            if self.file.is_none() {
                let path = self.folder.join(self.number.to_string());
                let Ok(file) = File::open(path).await else {
                    let sha256 = self.hash.take()?.finish();
                    let sha256 = Bytes::copy_from_slice(sha256.as_ref());
                    return Some((Ok(frame(Answer::Sha256(sha256))), self));
                };
                self.file = Some(file);
                self.number += 1;
            }
            let mut content = Vec::with_capacity(FRAME);
            let file = self.file.as_mut()?;
            match file.take(FRAME as u64).read_to_end(&mut content).await {
                Ok(0) => self.file = None,
                Ok(_) => {
                    if let Some(hash) = &mut self.hash {
                        hash.update(&content);
                    }
                    return Some((Ok(frame(Answer::Content(content.into()))), self));
                }
                Err(error) => return Some((Err(failed(error)), self)),
            }
        }
    }
}

/// The methods that are not needed here.
macro_rules! absent {
    ($($method:ident: $request:ident => $answer:ident),+ $(,)?; $($streams:tt)*) => {
        #[tonic::async_trait]
        impl RecordService for Unsealed {
            $(async fn $method(
                &self,
                _: Request<wire::$request>,
            ) -> Result<Response<wire::$answer>, Status> {
                Err(Status::unimplemented("only streams are measured"))
            })+
            $($streams)*
        }
    };
}

absent! {
    create_record: CreateRecordRequest => Record,
    get_record: GetRecordRequest => Record,
    batch_get_records: BatchGetRecordsRequest => BatchGetRecordsResponse,
    list_records: ListRecordsRequest => ListRecordsResponse,
    update_record: UpdateRecordRequest => Record,
    get_upload: GetUploadRequest => Upload,
    list_record_versions: ListRecordVersionsRequest => ListRecordVersionsResponse,
    delete_record: DeleteRecordRequest => Record,
    undelete_record: UndeleteRecordRequest => Record,
    purge_record: PurgeRecordRequest => Record,
    lookup_records: LookupRecordsRequest => LookupRecordsResponse;

    async fn upload_record(
        &self,
        request: Request<Streaming<wire::UploadRecordRequest>>,
    ) -> Result<Response<wire::Record>, Status> {
        let name = self.keep(request.into_inner()).await?;
        Ok(Response::new(wire::Record { name, ..wire::Record::default() }))
    }

    type DownloadRecordStream =
        Pin<Box<dyn Stream<Item = Result<wire::DownloadRecordResponse, Status>> + Send>>;

    async fn download_record(
        &self,
        request: Request<wire::DownloadRecordRequest>,
    ) -> Result<Response<Self::DownloadRecordStream>, Status> {
        let folder = self.folder.join(request.into_inner().name);
        let hash = Some(Context::new(&SHA256));
        let reading = Reading { folder, number: 0, file: None, hash };
        let frames = futures_util::stream::unfold(reading, Reading::next);
        Ok(Response::new(Box::pin(frames)))
    }
}
