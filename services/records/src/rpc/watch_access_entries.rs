//! `AccessLogService.WatchAccessEntries`: the events about accesses, as entries.

use diesel::PgConnection;
use shared::db::{Db, Scope};
use shared::field::Decoded;
use shared::grpc::Call;
use shared::problem::Problem;
use shared::rpc::{Feed, Messages, Said};
use shared::sequence::Event;
use shared::tenants::TenantInfo;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};
use wire::watch_access_entries_response::{Heartbeat, Message};

use super::{Rpc, access_entries};
use crate::domain::access::{AccessId, Action};
use crate::domain::access_leaf::{DENIED, PERMITTED};

/// The answers, as they are made.
pub(super) type Frames = Messages<wire::WatchAccessEntriesResponse>;

/// Entries as they were logged. One that is not what was logged ends the watch.
struct Entries(Db);

#[tonic::async_trait]
impl Feed for Entries {
    type Item = wire::AccessEntry;
    type Message = wire::WatchAccessEntriesResponse;

    async fn items(
        &self,
        scope: Scope,
        tenant: &TenantInfo,
        events: Vec<Event>,
    ) -> Result<Vec<wire::AccessEntry>, Problem> {
        let id = |event: &Event| AccessId::parse_name(&event.leaf.subject);
        let ids: Vec<AccessId> = events.iter().map(id).collect::<Decoded<_>>()?;
        let tenant = tenant.id;
        let read = move |conn: &mut PgConnection| access_entries::load_ids(conn, tenant, &ids);
        Ok(self.0.read("watch_access_entries", scope, read).await?)
    }

    fn message(
        &self,
        said: Said<wire::AccessEntry>,
        cursor: String,
    ) -> wire::WatchAccessEntriesResponse {
        let message = Some(match said {
            Said::Item(entry) => Message::AccessEntry(entry),
            Said::Heartbeat(time) => Message::Heartbeat(Heartbeat { time: Some(time.encode()) }),
        });
        wire::WatchAccessEntriesResponse { message, cursor }
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::WatchAccessEntriesRequest>,
) -> Result<Response<Frames>, Status> {
    let call = Call::of(&request)?;
    let (metadata, cursor) = (request.metadata().clone(), request.into_inner().cursor);
    let access = rpc.access(&call, Action::LIST_ACCESS_ENTRIES);
    let types = [PERMITTED, DENIED].map(str::to_owned).to_vec();
    let feed = Entries(rpc.db.clone());
    let watch = rpc.events.watch(&call, &metadata, &cursor, types, feed).await;
    // Nothing of it has left yet.
    Ok(Response::new(access_entries::log(rpc, &call, access, watch).await?))
}
