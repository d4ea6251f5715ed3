//! Callers of records, in a process of their own: what they cost is not the service's.

use std::net::SocketAddr;
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use strongroom_proto::records::v1 as wire;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Request, Status};
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;

use super::{Arguments, LOAD_RECORDS, unique};
use crate::bench::closed::{self, CALLERS_PER_CONNECTION, Loaded, Span};
use crate::bench::error::BenchError;
use crate::client::{Bearer, channel};

/// Persons whom the documents are about.
const SUBJECTS: usize = 64;
/// Calls at once, to prepare.
const PREPARING: usize = 64;

/// What is asked for in every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A new document.
    Create,
    /// A document that is there, in full.
    Read,
}

/// What there is to be read, and whom new documents are about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Documents {
    pub(super) subjects: Vec<String>,
    records: Vec<String>,
}

/// What the callers are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    pub(super) token: String,
    pub(super) callers: usize,
    pub(super) size: usize,
    pub(super) warm_up: f64,
    pub(super) seconds: f64,
    pub(super) documents: Documents,
}

impl Load {
    /// Has another process do it.
    pub(super) async fn in_a_process_of_its_own(&self) -> Result<Loaded, BenchError> {
        closed::in_a_process_of_its_own(LOAD_RECORDS, self).await
    }
}

/// `main` of the callers' process.
pub(in crate::bench) fn main() -> Result<(), BenchError> {
    closed::main(LOAD_RECORDS, async |load: Load| call_all(Arc::new(load)).await)
}

async fn call_all(load: Arc<Load>) -> Result<Loaded, String> {
    let span = Span::after(load.warm_up, load.seconds);
    let mut clients = Vec::new();
    for _ in 0..load.callers.div_ceil(CALLERS_PER_CONNECTION) {
        let channel = channel(load.address).map_err(|error| error.to_string())?;
        clients.push(RecordServiceClient::new(channel));
    }
    let mut callers = JoinSet::new();
    for caller in 0..load.callers {
        let client = clients[caller % clients.len()].clone();
        callers.spawn(call(client, Arc::clone(&load), caller, span));
    }
    closed::gather(callers, load.seconds).await
}

/// Calls until the end, and counts what is answered in between.
async fn call(
    client: RecordServiceClient<Channel>,
    load: Arc<Load>,
    caller: usize,
    span: Span,
) -> Result<Histogram<u64>, String> {
    let bearer = Bearer::value(&load.token).map_err(|error| error.to_string())?;
    let content: Vec<u8> = (0..load.size).map(|_| rand::random()).collect();
    let one = |turn: usize| {
        let Load { kind, documents: Documents { subjects, records }, .. } = &*load;
        let (mut client, bearer) = (client.clone(), bearer.clone());
        let subject = &subjects[turn % subjects.len()];
        let record = &records[(turn * 7_919) % records.len()];
        let content = &content;
        async move {
            match kind {
                Kind::Create => {
                    let mut request = Request::new(create(subject, content.clone()));
                    request.metadata_mut().insert("authorization", bearer);
                    client.create_record(request).await.map(drop)
                }
                Kind::Read => {
                    let mut request = Request::new(read(record.clone()));
                    request.metadata_mut().insert("authorization", bearer);
                    client.get_record(request).await.map(drop)
                }
            }
        }
    };
    closed::repeat(caller, span, one).await
}

fn create(subject: &str, content: Vec<u8>) -> wire::CreateRecordRequest {
    let record = wire::Record {
        subject: subject.to_owned(),
        r#type: "document".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        content: content.into(),
        ..wire::Record::default()
    };
    wire::CreateRecordRequest {
        record: Some(record),
        request_id: unique(),
        ..wire::CreateRecordRequest::default()
    }
}

fn read(name: String) -> wire::GetRecordRequest {
    let view = wire::RecordView::Full.into();
    wire::GetRecordRequest { name, view, purpose: "KYC".to_owned(), version: 0 }
}

/// Seals the documents that are read, about some persons.
pub(super) async fn prepare(
    address: SocketAddr,
    token: &str,
    arguments: &Arguments,
) -> Result<Documents, BenchError> {
    let failed = |message: String| BenchError::Load(message);
    let bearer = Bearer::value(token).map_err(|error| failed(error.to_string()))?;
    let channel = channel(address).map_err(|error| failed(error.to_string()))?;
    let refused = |status: Status| failed(status.message().to_owned());
    let mut subjects = Vec::new();
    let mut client = SubjectServiceClient::new(channel.clone());
    for _ in 0..SUBJECTS {
        let mut request = Request::new(wire::CreateSubjectRequest::default());
        request.metadata_mut().insert("authorization", bearer.clone());
        subjects.push(client.create_subject(request).await.map_err(refused)?.into_inner().name);
    }
    let (mut records, mut calls) = (Vec::new(), JoinSet::new());
    for document in 0..arguments.documents {
        if calls.len() >= PREPARING
            && let Some(called) = calls.join_next().await
        {
            let called: Result<String, Status> =
                called.map_err(|panic| failed(panic.to_string()))?;
            records.push(called.map_err(refused)?);
        }
        let content = (0..arguments.size).map(|_| rand::random()).collect();
        let mut request = Request::new(create(&subjects[document % SUBJECTS], content));
        request.metadata_mut().insert("authorization", bearer.clone());
        let mut client = RecordServiceClient::new(channel.clone());
        calls.spawn(async move {
            client.create_record(request).await.map(|record| record.into_inner().name)
        });
    }
    while let Some(called) = calls.join_next().await {
        let called = called.map_err(|panic| failed(panic.to_string()))?;
        records.push(called.map_err(refused)?);
    }
    Ok(Documents { subjects, records })
}
