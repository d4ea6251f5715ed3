//! `EventService.WatchEvents`.
//!
//! The events are read when the caller's connection asks for more, so a slow caller holds no more
//! than one batch in memory. A watch is not bounded by the longest deadline of calls: it lives for
//! as long as its caller, or its connection, does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use strongroom_proto::events::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use wire::event_service_server::EventService;
use wire::watch_events_response::{Heartbeat, Message};

use super::events::{EventRpc, types};
use crate::db::Scope;
use crate::deadline::Deadline;
use crate::grpc::Call;
use crate::grpc::call::with_trace_id;
use crate::grpc::stack::asked_timeout;
use crate::problem::{Problem, Reason};
use crate::tenants::TenantInfo;

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

/// One watch.
struct Watch {
    rpc: EventRpc,
    tenant: Arc<TenantInfo>,
    types: Vec<String>,
    position: Option<u64>,
    ready: VecDeque<wire::WatchEventsResponse>,
    head: watch::Receiver<u64>,
    heartbeat_at: Instant,
    /// When the caller wants it to end, if ever.
    deadline: Option<Instant>,
    trace_id: String,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn call(
    rpc: &EventRpc,
    request: Request<wire::WatchEventsRequest>,
) -> Result<Response<<EventRpc as EventService>::WatchEventsStream>, Status> {
    let call = Call::of(&request)?;
    let tenant = Arc::clone(call.tenant()?);
    let deadline = asked_timeout(request.metadata().as_ref());
    let request = request.into_inner();
    let types = types(request.types)?;
    let position = rpc.position(&tenant, &request.cursor)?;
    let place = Arc::clone(&rpc.watchers).try_acquire_owned().map_err(|_| {
        Problem::new(Reason::Overloaded, "The service has as many watchers as it may have.")
            .retry_after(Duration::from_secs(1))
    })?;
    let now = Instant::now();
    let mut watch = Watch {
        // Before the first look, so that nothing comes between.
        head: rpc.heads.subscribe(tenant.id),
        rpc: rpc.clone(),
        tenant,
        types,
        position,
        ready: VecDeque::new(),
        heartbeat_at: now + rpc.log.heartbeat.max(HEARTBEAT_MIN),
        deadline: deadline.map(|asked| now + asked - DEADLINE_MARGIN.min(asked / 10)),
        trace_id: call.trace_id.clone(),
        _place: place,
    };
    // A cursor that is too old is refused before anything is sent.
    watch.look().await?;
    let stream = unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        let message = with_trace_id(watch.trace_id.clone(), watch.next()).await;
        let end = message.is_err();
        Some((message, Some(watch).filter(|_| !end)))
    });
    Ok(Response::new(Box::pin(stream)))
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

impl Watch {
    async fn next(&mut self) -> Result<wire::WatchEventsResponse, Status> {
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
                    let time = Some(self.rpc.clock.now().encode());
                    let message = Message::Heartbeat(Heartbeat { time });
                    let cursor = self.rpc.cursor(&self.tenant, self.position.unwrap_or_default());
                    let message = wire::WatchEventsResponse { message: Some(message), cursor };
                    return Ok(self.sent(message));
                }
                Woken::Deadline => {
                    Err(Problem::new(Reason::Deadline, "The deadline passed."))?;
                }
            }
        }
    }

    fn sent(&mut self, message: wire::WatchEventsResponse) -> wire::WatchEventsResponse {
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
        for event in batch.events {
            let cursor = rpc.cursor(&self.tenant, event.position + 1);
            let message = Some(Message::Event(rpc.encode(&self.tenant, event)));
            self.ready.push_back(wire::WatchEventsResponse { message, cursor });
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
