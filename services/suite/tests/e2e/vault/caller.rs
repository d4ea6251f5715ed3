//! Somebody who calls the vault, and what is asked of it most.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::events::v1::event_service_client::EventServiceClient;
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use strongroom_proto::records::v1 as wire;
use strongroom_proto::transparency::v1::transparency_service_client::TransparencyServiceClient;
use suite::{Api, Clients};
use tonic::{Request, Status};
use uuid::Uuid;
use wire::access_log_service_client::AccessLogServiceClient;
use wire::download_record_response::Frame as Answer;
use wire::governance_service_client::GovernanceServiceClient;
use wire::key_service_client::KeyServiceClient;
use wire::record_service_client::RecordServiceClient;
use wire::record_type_service_client::RecordTypeServiceClient;
use wire::subject_service_client::SubjectServiceClient;
use wire::upload_record_request::Frame;

use crate::wire::request_id;

/// Bytes of a frame.
pub(super) const FRAME: usize = 256 << 10;
/// Times that something is looked for that comes by itself, after the lease of who was killed.
const PATIENCE: usize = 6_000;
/// Nothing here takes that long.
const DEADLINE: Duration = Duration::from_secs(300);

/// What was given in clear: the trace of the call, and the record.
pub(super) type Given = Arc<Mutex<BTreeSet<(String, String)>>>;

/// The clients of one caller.
#[derive(Clone)]
pub(super) struct Vault {
    pub(super) records: RecordServiceClient<Api>,
    pub(super) types: RecordTypeServiceClient<Api>,
    pub(super) subjects: SubjectServiceClient<Api>,
    pub(super) governance: GovernanceServiceClient<Api>,
    pub(super) keys: KeyServiceClient<Api>,
    pub(super) access_log: AccessLogServiceClient<Api>,
    pub(super) events: EventServiceClient<Api>,
    pub(super) outcomes: OutcomeServiceClient<Api>,
    pub(super) log: TransparencyServiceClient<Api>,
    /// To which the contents are added that are read.
    pub(super) given: Given,
}

impl Vault {
    /// Of a service at an address.
    pub(super) fn of(clients: &Clients, at: SocketAddr) -> Self {
        let api = clients.api(at).unwrap();
        Self {
            records: RecordServiceClient::new(api.clone()),
            types: RecordTypeServiceClient::new(api.clone()),
            subjects: SubjectServiceClient::new(api.clone()),
            governance: GovernanceServiceClient::new(api.clone()),
            keys: KeyServiceClient::new(api.clone()),
            access_log: AccessLogServiceClient::new(api.clone()),
            events: EventServiceClient::new(api.clone()),
            outcomes: OutcomeServiceClient::new(api.clone()),
            log: TransparencyServiceClient::new(api),
            given: Given::default(),
        }
    }

    /// A new person.
    pub(super) async fn subject(&self) -> String {
        let request = wire::CreateSubjectRequest::default();
        self.subjects.clone().create_subject(request).await.unwrap().into_inner().name
    }

    pub(super) async fn create(
        &self,
        request: wire::CreateRecordRequest,
    ) -> Result<wire::Record, Status> {
        let answer = self.records.clone().create_record(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Reads the last version, for KYC.
    pub(super) async fn get(
        &self,
        name: &str,
        view: wire::RecordView,
    ) -> Result<wire::Record, Status> {
        let (trace, request) = traced(wire::GetRecordRequest {
            name: name.to_owned(),
            view: view.into(),
            purpose: "KYC".to_owned(),
            version: 0,
        });
        let record = self.records.clone().get_record(request).await?.into_inner();
        self.gave(trace, name);
        Ok(record)
    }

    fn gave(&self, trace: String, name: &str) {
        self.given.lock().unwrap().insert((trace, name.to_owned()));
    }

    /// The content of a record.
    pub(super) async fn content(&self, name: &str) -> Result<Vec<u8>, Status> {
        Ok(self.get(name, wire::RecordView::Full).await?.content.to_vec())
    }

    /// Sends these frames, as fast as they are taken.
    pub(super) async fn upload(&self, frames: Vec<Frame>) -> Result<wire::Record, Status> {
        let frames =
            frames.into_iter().map(|frame| wire::UploadRecordRequest { frame: Some(frame) });
        let mut request = Request::new(tokio_stream::iter(frames));
        request.set_timeout(DEADLINE);
        let answer = self.records.clone().upload_record(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Streams a range in, and checks its hash.
    pub(super) async fn download(
        &self,
        name: &str,
        offset: usize,
        length: usize,
    ) -> Result<Vec<u8>, Status> {
        let (trace, mut request) = traced(wire::DownloadRecordRequest {
            name: name.to_owned(),
            purpose: "KYC".to_owned(),
            offset: offset.try_into().unwrap(),
            length: length.try_into().unwrap(),
            ..Default::default()
        });
        request.set_timeout(DEADLINE);
        let mut answers = self.records.clone().download_record(request).await?.into_inner();
        self.gave(trace, name);
        let (mut content, mut told) = (Vec::new(), None);
        while let Some(answer) = answers.message().await? {
            match answer.frame {
                Some(Answer::Content(bytes)) => content.extend_from_slice(&bytes),
                Some(Answer::Sha256(sha256)) => told = Some(sha256),
                Some(Answer::Header(_)) | None => {}
            }
        }
        assert_eq!(told.as_deref(), Some(digest(&SHA256, &content).as_ref()));
        Ok(content)
    }

    /// Asks for the erasure of a person, and waits until it is done.
    pub(super) async fn erase(&self, subject: &str) -> wire::Erasure {
        let request = erase(subject, request_id());
        let asked = self.subjects.clone().erase_subject(request).await.unwrap().into_inner();
        self.erased(&asked.name).await
    }

    /// An erasure, once it is done.
    pub(super) async fn erased(&self, name: &str) -> wire::Erasure {
        let request = wire::GetErasureRequest { name: name.to_owned() };
        for _ in 0..PATIENCE {
            let erasure = self.subjects.clone().get_erasure(request.clone()).await.unwrap();
            let erasure = erasure.into_inner();
            if erasure.state() == wire::erasure::State::Done {
                return erasure;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not done");
    }

    /// Rotates a key, and waits until it is done.
    pub(super) async fn rotate(&self, scope: wire::KeyScope, reseal: bool) -> wire::Rotation {
        let request =
            wire::RotateKeyRequest { scope: scope.into(), reseal, request_id: request_id() };
        let asked = self.keys.clone().rotate_key(request).await.unwrap().into_inner();
        self.rotated(&asked.name).await
    }

    /// A rotation, once it is done.
    pub(super) async fn rotated(&self, name: &str) -> wire::Rotation {
        let request = wire::GetRotationRequest { name: name.to_owned() };
        for _ in 0..PATIENCE {
            let rotation = self.keys.clone().get_rotation(request.clone()).await.unwrap();
            let rotation = rotation.into_inner();
            if rotation.state() != wire::rotation::State::Running {
                assert_eq!(rotation.state(), wire::rotation::State::Done, "{rotation:?}");
                return rotation;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not done");
    }
}

/// A request in a trace of its own, and that trace.
fn traced<T>(message: T) -> (String, Request<T>) {
    let trace = Uuid::new_v4().simple().to_string();
    let mut request = Request::new(message);
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    (trace, request)
}

/// A request for a document.
pub(super) fn seal(
    subject: &str,
    kind: &str,
    content_type: &str,
    content: impl Into<Vec<u8>>,
) -> wire::CreateRecordRequest {
    let record = wire::Record {
        subject: subject.to_owned(),
        r#type: kind.to_owned(),
        content_type: content_type.to_owned(),
        content: content.into().into(),
        ..Default::default()
    };
    wire::CreateRecordRequest {
        record: Some(record),
        request_id: request_id(),
        ..Default::default()
    }
}

/// The frames of an upload of a new record.
pub(super) fn frames(subject: &str, request_id: &str, content: &[u8]) -> Vec<Frame> {
    let record = wire::Record {
        subject: subject.to_owned(),
        r#type: "scan".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        ..Default::default()
    };
    let header = wire::UploadHeader {
        record: Some(record),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let parts = content.chunks(FRAME).map(|part| Frame::Content(part.to_vec().into()));
    let sha256 = Frame::Sha256(digest(&SHA256, content).as_ref().to_vec().into());
    std::iter::once(Frame::Header(header)).chain(parts).chain([sha256]).collect()
}

pub(super) fn erase(subject: &str, request_id: String) -> wire::EraseSubjectRequest {
    wire::EraseSubjectRequest {
        name: subject.to_owned(),
        legal_basis: wire::erasure::LegalBasis::SubjectRequest.into(),
        dry_run: false,
        request_id,
    }
}

/// The reason of a refusal.
pub(super) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> Reason {
    refusal(&answer.unwrap_err()).0
}
