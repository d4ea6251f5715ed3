//! How fast a large body is streamed in and out, against the same stream unsealed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use strongroom_proto::records::v1 as wire;
use tokio::sync::mpsc;
use tonic::codegen::Bytes;
use tonic::codegen::tokio_stream::StreamExt as _;
use tonic::{Request, Status};
use wire::download_record_response::Frame as Answer;
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;
use wire::upload_record_request::Frame;

use super::{Arguments, SERVE_RECORDS, SERVE_UNSEALED, Service, unique};
use crate::bench::closed::Rounds;
use crate::bench::error::BenchError;
use crate::bench::place::Place;
use crate::bench::process;
use crate::client::{Bearer, channel};
use crate::error::Error;
use crate::progress::Progress;

/// Bytes of a frame, and frames that may wait.
const FRAME: usize = 256 << 10;
const WAITING: usize = 4;
/// What a stream may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// MiB a second, and what the service needed for it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Streams {
    pub(super) mebibytes: usize,
    pub(super) upload: Against,
    pub(super) download: Against,
    /// The most bytes that the service has had resident.
    pub(super) memory_bytes: Option<u64>,
}

/// A rate against its floor, in MiB a second.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Against {
    pub(super) sealed: f64,
    pub(super) unsealed: f64,
    pub(super) ratio: f64,
}

impl Against {
    fn new(sealed: &Rounds, unsealed: &Rounds) -> Self {
        let (sealed, unsealed) = (sealed.median(), unsealed.median());
        Self { sealed, unsealed, ratio: sealed / unsealed }
    }
}

/// Streams in turn through the service and through one that seals nothing, each in a fresh process.
pub(super) async fn measure(
    place: &Place,
    token: &str,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<Streams, Error> {
    let variables = place.records_variables()?;
    let service = Service::start_as(SERVE_RECORDS, &variables).await?;
    let folder = place.folder().join("unsealed");
    let folder = [("STRONGROOM_BENCH_FOLDER", folder.to_string_lossy().into_owned())];
    let unsealed = Service::start_as(SERVE_UNSEALED, &folder).await?;
    let sealing = Client::new(service.address, token);
    let plain = Client::new(unsealed.address, token);
    let subject = sealing.subject().await?;
    let body: Bytes = (0..FRAME).map(|_| rand::random::<u8>()).collect::<Vec<_>>().into();
    let frames = arguments.stream * (1 << 20) / FRAME;
    let [mut up, mut down, mut plain_up, mut plain_down] = [const { Rounds(Vec::new()) }; 4];
    for round in 1..=arguments.rounds {
        progress.say(&format!("round {round} of {}: a stream", arguments.rounds));
        let (name, rate) = plain.upload(&subject, &body, frames).await?;
        plain_up.0.push(rate);
        plain_down.0.push(plain.download(&name, frames).await?);
        let (name, rate) = sealing.upload(&subject, &body, frames).await?;
        up.0.push(rate);
        down.0.push(sealing.download(&name, frames).await?);
    }
    let memory_bytes = process::peak(service.pid);
    service.stop().await?;
    unsealed.stop().await?;
    Ok(Streams {
        mebibytes: arguments.stream,
        upload: Against::new(&up, &plain_up),
        download: Against::new(&down, &plain_down),
        memory_bytes,
    })
}

struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, token: token.to_owned() }
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, BenchError> {
        let failed = |error: Error| BenchError::Load(error.to_string());
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", Bearer::value(&self.token).map_err(failed)?);
        request.set_timeout(DEADLINE);
        Ok(request)
    }

    fn records(&self) -> Result<RecordServiceClient<tonic::transport::Channel>, BenchError> {
        let channel = channel(self.address).map_err(|error| BenchError::Load(error.to_string()))?;
        Ok(RecordServiceClient::new(channel))
    }

    async fn subject(&self) -> Result<String, BenchError> {
        let channel = channel(self.address).map_err(|error| BenchError::Load(error.to_string()))?;
        let request = self.request(wire::CreateSubjectRequest::default())?;
        let made = SubjectServiceClient::new(channel).create_subject(request).await;
        Ok(made.map_err(refused)?.into_inner().name)
    }

    /// Streams a body of so many frames in, and gives its name and the MiB a second.
    async fn upload(
        &self,
        subject: &str,
        body: &Bytes,
        frames: usize,
    ) -> Result<(String, f64), BenchError> {
        let mut hash = Context::new(&SHA256);
        (0..frames).for_each(|_| hash.update(body));
        let sha256 = Bytes::copy_from_slice(hash.finish().as_ref());
        let record = wire::Record {
            subject: subject.to_owned(),
            r#type: "document".to_owned(),
            content_type: "application/octet-stream".to_owned(),
            ..wire::Record::default()
        };
        let header = wire::UploadHeader {
            record: Some(record),
            request_id: unique(),
            ..wire::UploadHeader::default()
        };
        let (sender, receiver) = mpsc::channel(WAITING);
        let content = body.clone();
        let began = Instant::now();
        let sending = tokio::spawn(async move {
            let frame = |frame| wire::UploadRecordRequest { frame: Some(frame) };
            // Where nobody takes it any more the answer says why.
            let _ = sender.send(frame(Frame::Header(header))).await;
            for _ in 0..frames {
                let _ = sender.send(frame(Frame::Content(content.clone()))).await;
            }
            let _ = sender.send(frame(Frame::Sha256(sha256))).await;
        });
        let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let made = self.records()?.upload_record(self.request(stream)?).await.map_err(refused)?;
        let rate = rate(frames, began.elapsed());
        sending.await.map_err(|panic| BenchError::Load(panic.to_string()))?;
        Ok((made.into_inner().name, rate))
    }

    /// Streams a body out, checks its hash, and gives the MiB a second.
    async fn download(&self, name: &str, frames: usize) -> Result<f64, BenchError> {
        let request = wire::DownloadRecordRequest {
            name: name.to_owned(),
            purpose: "KYC".to_owned(),
            ..wire::DownloadRecordRequest::default()
        };
        let began = Instant::now();
        let answer = self.records()?.download_record(self.request(request)?).await;
        let mut stream = answer.map_err(refused)?.into_inner();
        let (mut hash, mut size, mut told) = (Context::new(&SHA256), 0, None);
        while let Some(message) = stream.next().await {
            match message.map_err(refused)?.frame {
                Some(Answer::Content(content)) => {
                    size += content.len();
                    hash.update(&content);
                }
                Some(Answer::Sha256(sha256)) => told = Some(sha256),
                Some(Answer::Header(_)) | None => {}
            }
        }
        let took = began.elapsed();
        let is_whole = told.as_deref() == Some(hash.finish().as_ref()) && size == frames * FRAME;
        match is_whole {
            true => Ok(rate(frames, took)),
            false => Err(BenchError::Load("what was downloaded is not what was sent".to_owned())),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(status: Status) -> BenchError {
    BenchError::Load(status.message().to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
fn rate(frames: usize, took: Duration) -> f64 {
    (frames * FRAME) as f64 / f64::from(1 << 20) / took.as_secs_f64()
}
