//! `strongroom.events.v1.EventService`, and `ListEvents` of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_proto::events::v1 as wire;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::watch::Messages;
use super::watch_events;
use crate::boot::Service;
use crate::clock::Clock;
use crate::config::Log;
use crate::db::{Db, DbError, Scope};
use crate::field::{self, At as _, Decoded, invalid};
use crate::grpc::Call;
use crate::page::{OVERHEAD_BYTES, SIZE_DEFAULT, SIZE_MAX, Tokens};
use crate::problem::{Problem, Reason};
use crate::sequence::Heads;
use crate::sequence::events::{Batch, Event, Query, read};
use crate::tenants::{TenantInfo, Tenants};
use crate::time::Timestamp;
use crate::transparency::store::size;

/// The most types that may be asked for.
const TYPES_MAX: usize = 32;
const DAY_MICROS: i64 = 86_400_000_000;

/// The events of a service: listed, and watched in whatever form.
#[derive(Debug, Clone)]
pub struct EventRpc {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) tenants: Tenants,
    pub(crate) service: Service,
    pub(crate) timeline: Uuid,
    pub(crate) heads: Heads,
    pub(crate) log: Log,
    pub(crate) message_bytes_max: usize,
    /// A place for each watcher.
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) shutdown: CancellationToken,
}

/// What a cursor says. It is bound to the tenant and the service by its MAC.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    timeline: Uuid,
    position: u64,
}

impl EventRpc {
    async fn list(
        &self,
        call: &Call,
        request: wire::ListEventsRequest,
    ) -> Result<wire::ListEventsResponse, Problem> {
        let tenant = call.tenant()?;
        let limit = usize::try_from(request.page_size);
        let limit = match limit.map_err(|_| invalid("must not be negative")).at("page_size")? {
            0 => SIZE_DEFAULT,
            limit => limit.min(SIZE_MAX),
        };
        let types = types(request.types)?;
        if request.latest && !request.cursor.is_empty() {
            return Err(invalid("must be empty where latest is asked for")).at("cursor")?;
        }
        let from = self.position(tenant, &request.cursor)?;
        if request.latest {
            let id = tenant.id;
            let size = move |conn: &mut diesel::PgConnection| Ok::<_, DbError>(size(conn, id)?);
            let size = self.db.read("read_log_size", call.scope(), size).await?;
            let next_cursor = self.cursor(tenant, size);
            return Ok(wire::ListEventsResponse { events: Vec::new(), next_cursor, more: false });
        }
        let batch = self.read(call.scope(), tenant, from, limit, types).await?;
        Ok(wire::ListEventsResponse {
            next_cursor: self.cursor(tenant, batch.next),
            more: batch.next < batch.size,
            events: batch.events.into_iter().map(|event| self.encode(tenant, event)).collect(),
        })
    }

    /// Reads events from a position on, or `CURSOR_EXPIRED`.
    pub(super) async fn read(
        &self,
        scope: Scope,
        tenant: &TenantInfo,
        from: Option<u64>,
        limit: usize,
        types: Vec<String>,
    ) -> Result<Batch, Problem> {
        let kept = i64::from(self.log.event_retention) * DAY_MICROS;
        let since = Timestamp::from_micros(self.clock.now().micros() - kept);
        let bytes_max = self.message_bytes_max.saturating_sub(OVERHEAD_BYTES);
        let query = Query { from, limit, bytes_max, types, since: Some(since) };
        let (id, describe) = (tenant.id, self.service.describe);
        let read = move |conn: &mut diesel::PgConnection| read(conn, id, describe, &query);
        let batch = self.db.read("read_events", scope, read).await?;
        if batch.is_expired {
            let message = "Events so old are not kept. Read the resources anew.";
            return Err(Problem::new(Reason::CursorExpired, message));
        }
        Ok(batch)
    }

    fn tokens(&self, tenant: &TenantInfo) -> Tokens {
        Tokens::new(&tenant.key, "events", &(tenant.id, self.service.schema.name))
    }

    /// The cursor for what has this position, or comes behind it.
    pub(super) fn cursor(&self, tenant: &TenantInfo, position: u64) -> String {
        self.tokens(tenant).token(&Cursor { timeline: self.timeline, position })
    }

    /// The position of a cursor; none where it is empty.
    pub(super) fn position(&self, tenant: &TenantInfo, cursor: &str) -> Decoded<Option<u64>> {
        let foreign = |_| {
            let message = "must be a cursor that this service gave in this tenant";
            Box::new(Problem::new(Reason::PageTokenInvalid, message).in_field("cursor"))
        };
        let cursor = self.tokens(tenant).cursor::<Cursor>(cursor).map_err(foreign)?;
        if cursor.is_some_and(|cursor| cursor.timeline != self.timeline) {
            let message = "The cursor is from before a restore. Read the resources anew.";
            return Err(Box::new(Problem::new(Reason::TimelineChanged, message)));
        }
        Ok(cursor.map(|cursor| cursor.position))
    }

    pub(super) fn encode(&self, tenant: &TenantInfo, event: Event) -> wire::Event {
        let (service, timeline) = (self.service.schema.name, self.timeline);
        wire::Event {
            id: event.position.to_string(),
            source: format!("strongroom/{service}/{}/timelines/{timeline}", tenant.id.name()),
            r#type: event.kind,
            subject: event.leaf.subject,
            time: Some(event.time.encode()),
            position: event.position.cast_signed(),
            data: event.leaf.data,
        }
    }
}

pub(super) fn types(types: Vec<String>) -> Decoded<Vec<String>> {
    if types.len() > TYPES_MAX {
        return Err(invalid(format!("must be at most {TYPES_MAX} types"))).at("types");
    }
    let one = |(index, kind)| field::text(kind, 1, 64).at_index("types", index);
    types.into_iter().enumerate().map(one).collect()
}

#[tonic::async_trait]
impl wire::event_service_server::EventService for EventRpc {
    type WatchEventsStream = Messages<wire::WatchEventsResponse>;

    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Result<Response<wire::ListEventsResponse>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.list(&call, request.into_inner()).await?))
    }

    async fn watch_events(
        &self,
        request: Request<wire::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        watch_events::call(self, request).await
    }
}
