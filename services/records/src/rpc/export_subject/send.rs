//! Sends an export in parts, as fast as the caller takes them.

use std::time::Duration;

use diesel::{PgConnection, QueryResult};
use serde_json::Value;
use shared::deadline::Deadline;
use shared::filter::Period;
use shared::grpc::Call;
use shared::grpc::call::with_trace_id;
use shared::ids::TenantId;
use shared::page::Page;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;
use tracing::Instrument as _;
use uuid::Uuid;

use super::lines;
use crate::domain::record::RecordId;
use crate::domain::subject::{Subject, SubjectId};
use crate::error::Error;
use crate::rpc::{Rpc, access_entries};
use crate::store::latest::Place;
use crate::store::{
    access_lists, break_glass_leases, consents, erasures, legal_holds, records,
    retention_interests, subjects,
};

/// Bytes of a part at most.
const PART: usize = 256 * 1024;
/// Rows that are read at once.
const ROWS: i64 = 100;
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An export under way.
pub(super) struct Sending {
    pub(super) rpc: Rpc,
    pub(super) purpose: String,
    call: Call,
    subject: Subject,
    part: Vec<u8>,
    parts: mpsc::Sender<Result<wire::ExportSubjectResponse, Status>>,
}

/// Why an export ends before its end.
pub(super) enum End {
    /// The caller has gone.
    Gone,
    /// Something failed.
    Failed(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl Sending {
    /// An export of somebody.
    pub(super) fn new(
        rpc: &Rpc,
        call: &Call,
        subject: Subject,
        purpose: String,
        parts: mpsc::Sender<Result<wire::ExportSubjectResponse, Status>>,
    ) -> Self {
        let (rpc, call) = (rpc.clone(), call.clone());
        Self { rpc, purpose, call, subject, part: Vec::new(), parts }
    }

    /// Sends everything in a task of its own, which ends with the caller or the service.
    pub(super) fn spawn(mut self, place: OwnedSemaphorePermit) {
        let trace_id = self.call.trace_id.clone();
        let send = async move {
            let (parts, shutdown) = (self.parts.clone(), self.rpc.shutdown.clone());
            let end = tokio::select! {
                end = self.send() => end,
                () = parts.closed() => Err(End::Gone),
                () = shutdown.cancelled() => {
                    let message = "The server is shutting down.";
                    Err(Problem::new(Reason::DatabaseUnavailable, message).into())
                }
            };
            // Whoever does not read any more keeps neither memory nor a place.
            drop((self, place));
            if let Err(End::Failed(problem)) = end {
                tokio::select! {
                    _ = parts.send(Err(problem.into())) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        };
        tokio::spawn(with_trace_id(trace_id, send).in_current_span());
    }

    /// The call, with time for the next look: the caller's own deadline ends the stream.
    pub(super) fn call(&self) -> Call {
        Call { deadline: Deadline::after(TIMEOUT), ..self.call.clone() }
    }

    async fn send(&mut self) -> Result<(), End> {
        self.write(&lines::line(&lines::subject(&self.subject))).await?;
        self.governance().await?;
        self.records().await?;
        self.accesses().await?;
        self.flush().await
    }

    async fn governance(&mut self) -> Result<(), End> {
        let of = Some(self.subject.id);
        let filter = consents::Filter { subject: of, ..Default::default() };
        self.list(lines::consent, move |conn, tenant, after| {
            let found = consents::candidates(conn, tenant, &filter, after, ROWS)?;
            Ok(found.into_iter().map(|one| (one.create_time, one.id.uuid(), one)).collect())
        })
        .await?;
        // Those on single records as well.
        let id = self.subject.id;
        self.list(lines::legal_hold, move |conn, tenant, after| {
            let found = legal_holds::of_subject(conn, tenant, id, after, ROWS)?;
            Ok(found.into_iter().map(|one| (one.create_time, one.id.uuid(), one)).collect())
        })
        .await?;
        let filter = retention_interests::Filter { subject: of, ..Default::default() };
        self.list(lines::interest, move |conn, tenant, after| {
            let found = retention_interests::candidates(conn, tenant, &filter, after, ROWS)?;
            Ok(found.into_iter().map(|one| (one.create_time, one.id.uuid(), one)).collect())
        })
        .await?;
        let filter = break_glass_leases::Filter { subject: of, ..Default::default() };
        self.list(lines::lease, move |conn, tenant, after| {
            let found = break_glass_leases::candidates(conn, tenant, &filter, after, ROWS)?;
            Ok(found.into_iter().map(|one| (one.create_time, one.id.uuid(), one)).collect())
        })
        .await?;
        self.list(lines::erasure, move |conn, tenant, after| {
            let found = erasures::list(conn, tenant, of, after, ROWS)?;
            Ok(found.into_iter().map(|one| (one.create_time, one.name.id.uuid(), one)).collect())
        })
        .await
    }

    /// Sends all that a list has, by pages of [`ROWS`], each row with its place.
    async fn list<T: Send + 'static>(
        &mut self,
        line: fn(&T) -> Value,
        page: impl Fn(
            &mut PgConnection,
            TenantId,
            Option<&Place>,
        ) -> QueryResult<Vec<(Timestamp, Uuid, T)>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<(), End> {
        let (tenant, mut after) = (self.call.tenant_id()?, None::<Place>);
        loop {
            let page = page.clone();
            let read =
                move |conn: &mut PgConnection| Ok::<_, Error>(page(conn, tenant, after.as_ref())?);
            let found = self.rpc.db.read("export_subject", self.call().scope(), read).await?;
            let is_end = i64::try_from(found.len()) != Ok(ROWS);
            for (create_time, id, one) in found {
                after = Some(Place::new(create_time, id));
                self.write(&lines::line(&line(&one))).await?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    async fn records(&mut self) -> Result<(), End> {
        let (tenant, subject) = (self.call.tenant_id()?, self.subject.id);
        let mut after = None::<RecordId>;
        loop {
            let read = move |conn: &mut PgConnection| {
                Ok::<_, Error>(subjects::record_ids(conn, tenant, subject, after, ROWS)?)
            };
            let ids = self.rpc.db.read("export_records", self.call().scope(), read).await?;
            for id in &ids {
                let id = *id;
                let read = move |conn: &mut PgConnection| {
                    Ok::<_, Error>(records::select(conn, tenant, id)?)
                };
                let found = self.rpc.db.read("export_record", self.call().scope(), read).await?;
                if let Some((record, _)) = found {
                    self.record(&record).await?;
                }
            }
            after = ids.last().copied();
            if i64::try_from(ids.len()) != Ok(ROWS) {
                return Ok(());
            }
        }
    }

    /// Who has seen what, each as it was logged.
    async fn accesses(&mut self) -> Result<(), End> {
        let (mut token, subject) = (String::new(), self.subject.id);
        // Its own are among them.
        let before = Some(self.rpc.clock.now().next());
        loop {
            let list = access_list(&self.call, subject, before, &token)?;
            let call = self.call();
            let page = access_entries::list(&self.rpc, &call, "export_accesses", list);
            let (entries, next) = page.await?;
            for entry in entries {
                self.write(&lines::line(&lines::access(&entry))).await?;
            }
            if next.is_empty() {
                return Ok(());
            }
            token = next;
        }
    }

    /// Adds to the part, and sends those that are full.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let (some, others) = bytes.split_at(bytes.len().min(PART - self.part.len()));
            self.part.extend_from_slice(some);
            bytes = others;
            if self.part.len() == PART {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = wire::ExportSubjectResponse { ndjson: std::mem::take(&mut self.part).into() };
        let sent = self.parts.send(Ok(part));
        match tokio::time::timeout(self.rpc.streams.idle, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                let message = "The caller did not take the next part in time.";
                Err(Problem::new(Reason::Deadline, message).into())
            }
        }
    }
}

/// The next page of a subject's entries from before some time: an export has an end.
fn access_list(
    call: &Call,
    subject: SubjectId,
    before: Option<Timestamp>,
    token: &str,
) -> Result<access_entries::List, Problem> {
    let size = i32::try_from(ROWS).unwrap_or(i32::MAX);
    let page = Page::decode(&call.tenant()?.key, "export-accesses", &subject, size, token)?;
    let period = Period { from: None, before };
    let filter = access_lists::Filter { subject: Some(subject), period, ..Default::default() };
    Ok(access_entries::List { filter, page, proofs: false })
}
