//! Watches: what happens, sent as it happens, in the form that a service's contract gives it.
//!
//! The events are read when the caller's connection asks for more, so a slow caller holds no more
//! than one batch in memory. A watch is not bounded by the longest deadline of calls: it lives for
//! as long as its caller, or its connection, does.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::events::EventRpc;
use crate::db::Scope;
use crate::deadline::Deadline;
use crate::grpc::Call;
use crate::grpc::call::with_trace_id;
use crate::grpc::stack::asked_timeout;
use crate::problem::{Problem, Reason};
use crate::sequence::Event;
use crate::tenants::TenantInfo;
use crate::time::Timestamp;

/// Events of one look.
const BATCH: usize = 100;
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between looks for what other replicas have sequenced.
const POLL: Duration = Duration::from_secs(1);
/// A heartbeat without a pause would be a flood.
const HEARTBEAT_MIN: Duration = Duration::from_millis(50);

/// Shaved off the caller's deadline, at most a tenth of it, so that the end of the watch arrives
/// before the timers of the caller and of a proxy between.
const DEADLINE_MARGIN: Duration = Duration::from_millis(100);

/// The messages of a watch.
pub type Messages<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// What a message says.
#[derive(Debug)]
pub enum Said<I> {
    /// Something happened.
    Item(I),
    /// Nothing did until this time, by the clock of the service.
    Heartbeat(Timestamp),
}

/// The form in which a watch sends what happens.
#[tonic::async_trait]
pub trait Feed: Send + Sync + 'static {
    /// What becomes of an event.
    type Item: Send + 'static;
    /// A message of the contract.
    type Message: Send + 'static;

    /// What becomes of some events, in their order. A refusal ends the watch.
    async fn items(
        &self,
        scope: Scope,
        tenant: &TenantInfo,
        events: Vec<Event>,
    ) -> Result<Vec<Self::Item>, Problem>;

    /// A message, and the cursor behind it.
    fn message(&self, said: Said<Self::Item>, cursor: String) -> Self::Message;
}

/// One watch.
struct Watch<F: Feed> {
    rpc: EventRpc,
    feed: F,
    tenant: Arc<TenantInfo>,
    types: Vec<String>,
    position: Option<u64>,
    ready: VecDeque<F::Message>,
    head: watch::Receiver<u64>,
    heartbeat_at: Instant,
    /// When the caller wants it to end, if ever.
    deadline: Option<Instant>,
    trace_id: String,
    _place: OwnedSemaphorePermit,
}

impl EventRpc {
    /// Watches events of these types, all where there is none, behind a cursor of `ListEvents` or
    /// of any watch; from the oldest that is kept where it is empty. `metadata` is that of the
    /// caller's request. A cursor that is too old is refused before anything is sent.
    pub async fn watch<F: Feed>(
        &self,
        call: &Call,
        metadata: &MetadataMap,
        cursor: &str,
        types: Vec<String>,
        feed: F,
    ) -> Result<Messages<F::Message>, Problem> {
        let tenant = Arc::clone(call.tenant()?);
        let deadline = asked_timeout(metadata.as_ref());
        let position = self.position(&tenant, cursor)?;
        let place = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Problem::new(Reason::Overloaded, "The service has as many watchers as it may have.")
                .retry_after(Duration::from_secs(1))
        })?;
        let now = Instant::now();
        let mut watch = Watch {
            // Before the first look, so that nothing comes between.
            head: self.heads.subscribe(tenant.id),
            rpc: self.clone(),
            feed,
            tenant,
            types,
            position,
            ready: VecDeque::new(),
            heartbeat_at: now + self.log.heartbeat.max(HEARTBEAT_MIN),
            deadline: deadline.map(|asked| now + asked - DEADLINE_MARGIN.min(asked / 10)),
            trace_id: call.trace_id.clone(),
            _place: place,
        };
        watch.look().await?;
        let stream = unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            let message = with_trace_id(watch.trace_id.clone(), watch.next()).await;
            let end = message.is_err();
            Some((message, Some(watch).filter(|_| !end)))
        });
        Ok(Box::pin(stream))
    }
}

/// What ended a wait.
enum Woken {
    /// There may be more.
    Look,
    /// Nothing has been sent for long.
    Heartbeat,
    /// The caller's patience is at its end.
    Deadline,
}

impl<F: Feed> Watch<F> {
    async fn next(&mut self) -> Result<F::Message, Status> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(self.sent(message));
            }
            if self.rpc.shutdown.is_cancelled() {
                return Err(Status::unavailable("The server is shutting down."));
            }
            let more = self.look().await?;
            if !self.ready.is_empty() {
                continue;
            }
            match if more { self.pass() } else { self.wait().await } {
                Woken::Look => {}
                Woken::Heartbeat => {
                    let said = Said::Heartbeat(self.rpc.clock.now());
                    let cursor = self.rpc.cursor(&self.tenant, self.position.unwrap_or_default());
                    let message = self.feed.message(said, cursor);
                    return Ok(self.sent(message));
                }
                Woken::Deadline => {
                    Err(Problem::new(Reason::Deadline, "The deadline passed."))?;
                }
            }
        }
    }

    fn sent(&mut self, message: F::Message) -> F::Message {
        self.heartbeat_at = Instant::now() + self.rpc.log.heartbeat.max(HEARTBEAT_MIN);
        message
    }

    /// Looks for events from the position on. True where there are more.
    async fn look(&mut self) -> Result<bool, Problem> {
        self.head.mark_unchanged();
        let deadline = Deadline::after(TIMEOUT);
        // It may have been suspended meanwhile.
        self.tenant = self.rpc.tenants.get(self.tenant.id, deadline).await?;
        self.tenant.allow(true)?;
        let (rpc, scope) = (&self.rpc, Scope::tenant(self.tenant.id, deadline));
        let batch = rpc.read(scope, &self.tenant, self.position, BATCH, self.types.clone()).await?;
        self.position = Some(batch.next);
        let positions: Vec<u64> = batch.events.iter().map(|event| event.position).collect();
        let items = match batch.events.is_empty() {
            true => Vec::new(),
            false => self.feed.items(scope, &self.tenant, batch.events).await?,
        };
        for (position, item) in positions.into_iter().zip(items) {
            let cursor = rpc.cursor(&self.tenant, position + 1);
            self.ready.push_back(self.feed.message(Said::Item(item), cursor));
        }
        Ok(batch.next < batch.size)
    }

    /// What is to be done at once while it goes past what nobody asked for.
    fn pass(&self) -> Woken {
        let now = Instant::now();
        match self.deadline {
            Some(deadline) if deadline <= now => Woken::Deadline,
            _ if self.heartbeat_at <= now => Woken::Heartbeat,
            _ => Woken::Look,
        }
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.deadline;
        let passed = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passed => Woken::Deadline,
            () = tokio::time::sleep_until(self.heartbeat_at) => Woken::Heartbeat,
            () = tokio::time::sleep(POLL) => Woken::Look,
            // Where the sequencer has ended, looking every second is all there is.
            Ok(()) = self.head.changed() => Woken::Look,
        }
    }
}
