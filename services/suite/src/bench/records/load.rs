//! Callers of records, in a process of their own: what they cost is not the service's.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use strongroom_proto::records::v1 as wire;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Request, Status};
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;

use super::{Arguments, LOAD_RECORDS, unique};
use crate::bench::child::Process;
use crate::bench::error::BenchError;
use crate::bench::load::threads;
use crate::client::{Bearer, channel};

/// How long the callers may be silent.
const SILENCE: Duration = Duration::from_secs(300);
/// Callers on one connection.
const CALLERS_PER_CONNECTION: usize = 16;
/// Persons whom the documents are about.
const SUBJECTS: usize = 64;
/// Calls at once, to prepare.
const PREPARING: usize = 64;
/// The longest time that is told apart, in microseconds.
const LONGEST: u64 = 120_000_000;

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

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Load {
    /// Has another process do it.
    pub(super) async fn in_a_process_of_its_own(&self) -> Result<Loaded, BenchError> {
        let told = |error: serde_json::Error| BenchError::Load(error.to_string());
        let mut process = Process::start(LOAD_RECORDS, &[])?;
        let mut line = serde_json::to_vec(self).map_err(told)?;
        line.push(b'\n');
        if let Some(input) = &mut process.input {
            let written = input.write_all(&line).await;
            written.map_err(|error| BenchError::System(LOAD_RECORDS, error))?;
        }
        let answer = process.line(SILENCE).await.map_err(BenchError::Load)?;
        let answer = answer.ok_or_else(|| BenchError::Load("they ended early".to_owned()))?;
        process.stop().await.map_err(BenchError::Load)?;
        serde_json::from_str::<Result<Loaded, String>>(&answer)
            .map_err(told)?
            .map_err(BenchError::Load)
    }
}

/// `main` of the callers' process.
pub(in crate::bench) fn main() -> Result<(), BenchError> {
    let system = |error| BenchError::System(LOAD_RECORDS, error);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(system)?;
    let told = |error: serde_json::Error| BenchError::Load(error.to_string());
    let load: Load = serde_json::from_str(&line).map_err(told)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .build()
        .map_err(system)?;
    let loaded = runtime.block_on(call_all(Arc::new(load)));
    let line = serde_json::to_string(&loaded).map_err(told)?;
    writeln!(std::io::stdout(), "{line}").map_err(system)
}

async fn call_all(load: Arc<Load>) -> Result<Loaded, String> {
    let begin = Instant::now() + Duration::from_secs_f64(load.warm_up);
    let end = begin + Duration::from_secs_f64(load.seconds);
    let mut clients = Vec::new();
    for _ in 0..load.callers.div_ceil(CALLERS_PER_CONNECTION) {
        let channel = channel(load.address).map_err(|error| error.to_string())?;
        clients.push(RecordServiceClient::new(channel));
    }
    let mut callers = JoinSet::new();
    for caller in 0..load.callers {
        let client = clients[caller % clients.len()].clone();
        callers.spawn(call(client, Arc::clone(&load), caller, begin, end));
    }
    let mut times: Option<Histogram<u64>> = None;
    while let Some(called) = callers.join_next().await {
        let called = called.map_err(|error| error.to_string())??;
        match &mut times {
            Some(times) => times.add(called).map_err(|error| error.to_string())?,
            None => times = Some(called),
        }
    }
    let times = times.ok_or("nobody called")?;
    #[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
    let (count, millis) = (times.len() as f64, |micros: u64| micros as f64 / 1_000.0);
    Ok(Loaded {
        per_second: count / load.seconds,
        p50_ms: millis(times.value_at_quantile(0.5)),
        p99_ms: millis(times.value_at_quantile(0.99)),
    })
}

/// Calls until the end, and counts what is answered in between.
async fn call(
    mut client: RecordServiceClient<Channel>,
    load: Arc<Load>,
    caller: usize,
    begin: Instant,
    end: Instant,
) -> Result<Histogram<u64>, String> {
    let bearer = Bearer::value(&load.token).map_err(|error| error.to_string())?;
    let times = Histogram::new_with_bounds(1, LONGEST, 3);
    let mut times: Histogram<u64> = times.map_err(|error| error.to_string())?;
    let content: Vec<u8> = (0..load.size).map(|_| rand::random()).collect();
    let Documents { subjects, records } = &load.documents;
    for turn in caller.. {
        let since = Instant::now();
        if since >= end {
            break;
        }
        let answered = match load.kind {
            Kind::Create => {
                let subject = &subjects[turn % subjects.len()];
                let mut request = Request::new(create(subject, content.clone()));
                request.metadata_mut().insert("authorization", bearer.clone());
                client.create_record(request).await.map(drop)
            }
            Kind::Read => {
                let name = records[(turn * 7_919) % records.len()].clone();
                let mut request = Request::new(read(name));
                request.metadata_mut().insert("authorization", bearer.clone());
                client.get_record(request).await.map(drop)
            }
        };
        answered.map_err(|status: Status| status.message().to_owned())?;
        let now = Instant::now();
        if now >= begin && now < end {
            let micros = u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX);
            times.saturating_record(micros.max(1));
        }
    }
    Ok(times)
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
