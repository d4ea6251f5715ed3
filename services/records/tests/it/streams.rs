//! What tests of streams share: callers that send and receive content frame by frame.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream;
use records::{Config, serve};
use sha2::{Digest as _, Sha256};
use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::{Running, config, refusal};
use strongroom_proto::records::v1 as wire;
use tokio::sync::mpsc;
use tonic::codegen::Bytes;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status};
use wire::download_record_response::Frame as Received;
use wire::record_service_client::RecordServiceClient;
use wire::upload_record_request::Frame;

use crate::world::{Answer, Caller, World};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;
/// Bytes of content in a segment.
pub(crate) const SEGMENT: usize = 4 * MIB;

/// Somebody who streams.
pub(crate) struct Streamer {
    pub(crate) caller: Caller,
    client: RecordServiceClient<Channel>,
}

/// What a download gave, up to where it ended.
pub(crate) struct Download {
    pub(crate) header: Option<wire::DownloadHeader>,
    pub(crate) content: Vec<u8>,
    pub(crate) end: Result<Bytes, Status>,
}

impl Download {
    /// The content, if it is complete.
    pub(crate) fn complete(self) -> Vec<u8> {
        let sha256 = self.end.unwrap();
        assert_eq!(sha256, Sha256::digest(&self.content).as_slice());
        self.content
    }

    /// Why it is not complete.
    pub(crate) fn reason(&self) -> Reason {
        refusal(self.end.as_ref().unwrap_err()).0
    }
}

impl Streamer {
    pub(crate) fn new(world: &World) -> Self {
        Self::over(world, world.running.channel())
    }

    /// The same over another connection.
    pub(crate) fn over(world: &World, channel: Channel) -> Self {
        Self { caller: world.caller(), client: RecordServiceClient::new(channel) }
    }

    pub(crate) async fn send(&self, frames: Vec<Frame>) -> Answer<wire::Record> {
        let messages = frames.into_iter().map(message);
        self.client.clone().upload_record(self.caller.signed(stream::iter(messages))).await
    }

    /// All of a content.
    pub(crate) async fn upload(
        &self,
        header: wire::UploadHeader,
        content: &[u8],
    ) -> Answer<wire::Record> {
        self.send(all(header, content)).await
    }

    /// A stream that stays open for as long as its sender.
    pub(crate) fn open(
        &self,
    ) -> (mpsc::Sender<wire::UploadRecordRequest>, tokio::task::JoinHandle<Answer<wire::Record>>)
    {
        let (sender, frames) = mpsc::channel(1);
        let mut client = self.client.clone();
        let request = self.caller.signed(ReceiverStream::new(frames));
        (sender, tokio::spawn(async move { client.upload_record(request).await }))
    }

    /// Begins an upload and waits until a part of it is kept.
    pub(crate) async fn begin(
        &self,
        header: &wire::UploadHeader,
        content: &[u8],
        kept: usize,
    ) -> (mpsc::Sender<wire::UploadRecordRequest>, tokio::task::JoinHandle<Answer<wire::Record>>)
    {
        let (sender, answer) = self.open();
        sender.send(message(Frame::Header(header.clone()))).await.unwrap();
        for frame in frames(content) {
            sender.send(message(frame)).await.unwrap();
        }
        for _ in 0..600 {
            if self.kept(header).await == Ok(kept) {
                return (sender, answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?} is kept", self.kept(header).await);
    }

    /// How much of an upload is kept.
    pub(crate) async fn kept(&self, header: &wire::UploadHeader) -> Result<usize, Reason> {
        let upload = self.get_upload(header).await.map_err(|status| refusal(&status).0)?;
        Ok(usize::try_from(upload.get_ref().received_bytes).unwrap())
    }

    pub(crate) async fn get_upload(&self, header: &wire::UploadHeader) -> Answer<wire::Upload> {
        let name = format!("uploads/{}", header.request_id);
        let request = self.caller.signed(wire::GetUploadRequest { name });
        self.client.clone().get_upload(request).await
    }

    /// The same again, for as long as an earlier stream has the lease.
    pub(crate) async fn go_on(
        &self,
        header: wire::UploadHeader,
        content: &[u8],
    ) -> Answer<wire::Record> {
        for _ in 0..600 {
            match self.upload(header.clone(), content).await {
                Err(status) if refusal(&status).0 == Reason::RequestInProgress => {}
                answer => return answer,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the lease stays");
    }

    pub(crate) async fn start_download(
        &self,
        name: &str,
        version: i64,
        (offset, length): (usize, usize),
    ) -> Result<tonic::Streaming<wire::DownloadRecordResponse>, Status> {
        let request = wire::DownloadRecordRequest {
            name: name.to_owned(),
            version,
            purpose: "KYC".to_owned(),
            offset: i64::try_from(offset).unwrap(),
            length: i64::try_from(length).unwrap(),
        };
        let answer = self.client.clone().download_record(self.caller.signed(request)).await;
        answer.map(Response::into_inner)
    }

    /// Whatever a download gives.
    pub(crate) async fn download(
        &self,
        name: &str,
        version: i64,
        range: (usize, usize),
    ) -> Download {
        match self.start_download(name, version, range).await {
            Ok(frames) => drain(frames).await,
            Err(status) => Download { header: None, content: Vec::new(), end: Err(status) },
        }
    }

    /// All of the last version.
    pub(crate) async fn content(&self, name: &str) -> Vec<u8> {
        self.download(name, 0, (0, 0)).await.complete()
    }
}

pub(crate) async fn drain(mut frames: tonic::Streaming<wire::DownloadRecordResponse>) -> Download {
    let (mut header, mut content) = (None, Vec::new());
    let end = loop {
        let frame = match frames.message().await {
            Ok(message) => message.unwrap().frame.unwrap(),
            Err(status) => break Err(status),
        };
        match frame {
            Received::Header(first) => header = Some(first),
            Received::Content(bytes) => {
                assert!(header.is_some() && (1..=256 * KIB).contains(&bytes.len()));
                content.extend_from_slice(&bytes);
            }
            Received::Sha256(sha256) => {
                assert!(frames.message().await.unwrap().is_none());
                break Ok(sha256);
            }
        }
    };
    Download { header, content, end }
}

/// Another replica on the world's database and objects, with these flags.
pub(crate) async fn replica(world: &World, flags: &[&str]) -> Running {
    let mut arguments = world.database.arguments();
    arguments.extend(world.issuer.arguments());
    let kek = world.folder.path().join("kek.json");
    let objects = format!("file://{}", folder(world).display());
    arguments.extend(["--kek-file", kek.to_str().unwrap(), "--object-store", &objects]);
    arguments.extend(flags);
    let config: Config = config(&arguments);
    Running::start(|listener, shutdown| serve(listener, config, Clock::system(), shutdown)).await
}

/// A header for a new record about a subject.
pub(crate) fn header(subject: &str, content_type: &str) -> wire::UploadHeader {
    let record = wire::Record {
        subject: subject.to_owned(),
        r#type: "scan".to_owned(),
        content_type: content_type.to_owned(),
        ..wire::Record::default()
    };
    let request_id = uuid::Uuid::now_v7().to_string();
    wire::UploadHeader { record: Some(record), request_id, ..wire::UploadHeader::default() }
}

/// A header for the next version of a record.
pub(crate) fn next_version(name: &str, etag: &str) -> wire::UploadHeader {
    let mut header = header("", "application/pdf");
    let record = header.record.as_mut().unwrap();
    (record.r#type, record.name, record.etag) = (String::new(), name.to_owned(), etag.to_owned());
    header
}

/// Content that no two places of have in common.
pub(crate) fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = std::iter::repeat_with(|| next().to_le_bytes()).flatten();
    words.take(length).collect()
}

pub(crate) fn message(frame: Frame) -> wire::UploadRecordRequest {
    wire::UploadRecordRequest { frame: Some(frame) }
}

/// The frames of content.
pub(crate) fn frames(content: &[u8]) -> impl Iterator<Item = Frame> {
    let frames = content.chunks(256 * KIB).map(Bytes::copy_from_slice);
    frames.map(Frame::Content).collect::<Vec<_>>().into_iter()
}

pub(crate) fn hash(content: &[u8]) -> Frame {
    Frame::Sha256(Bytes::copy_from_slice(&Sha256::digest(content)))
}

/// The frames of an upload from its header's offset on.
pub(crate) fn all(header: wire::UploadHeader, content: &[u8]) -> Vec<Frame> {
    let rest = &content[usize::try_from(header.offset).unwrap()..];
    let mut all = vec![Frame::Header(header)];
    all.extend(frames(rest));
    all.push(hash(content));
    all
}

/// Where objects are.
pub(crate) fn folder(world: &World) -> PathBuf {
    world.folder.path().join("objects")
}

/// The files below the folder of objects.
pub(crate) fn objects(world: &World) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder(world)];
    while let Some(folder) = folders.pop() {
        // One may be removed meanwhile, with all that was in it.
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries {
            let Ok(path) = entry.map(|entry| entry.path()) else { continue };
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
