//! `EventService.WatchEvents`.

use strongroom_proto::events::v1 as wire;
use tonic::{Request, Response, Status};
use wire::event_service_server::EventService;
use wire::watch_events_response::{Heartbeat, Message};

use super::events::{EventRpc, types};
use super::watch::{Feed, Said};
use crate::db::Scope;
use crate::grpc::Call;
use crate::problem::Problem;
use crate::sequence::Event;
use crate::tenants::TenantInfo;

/// Events as they are.
struct Events(EventRpc);

#[tonic::async_trait]
impl Feed for Events {
    type Item = wire::Event;
    type Message = wire::WatchEventsResponse;

    async fn items(
        &self,
        _: Scope,
        tenant: &TenantInfo,
        events: Vec<Event>,
    ) -> Result<Vec<wire::Event>, Problem> {
        Ok(events.into_iter().map(|event| self.0.encode(tenant, event)).collect())
    }

    fn message(&self, said: Said<wire::Event>, cursor: String) -> wire::WatchEventsResponse {
        let message = Some(match said {
            Said::Item(event) => Message::Event(event),
            Said::Heartbeat(time) => Message::Heartbeat(Heartbeat { time: Some(time.encode()) }),
        });
        wire::WatchEventsResponse { message, cursor }
    }
}

pub(super) async fn call(
    rpc: &EventRpc,
    request: Request<wire::WatchEventsRequest>,
) -> Result<Response<<EventRpc as EventService>::WatchEventsStream>, Status> {
    let call = Call::of(&request)?;
    let metadata = request.metadata().clone();
    let wire::WatchEventsRequest { cursor, types: asked, .. } = request.into_inner();
    let feed = Events(rpc.clone());
    let watch = rpc.watch(&call, &metadata, &cursor, types(asked)?, feed).await?;
    Ok(Response::new(watch))
}
