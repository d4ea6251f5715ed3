//! `ListUndeliveredControls`.

use diesel::PgConnection;
use shared::field::Decoded;
use shared::grpc::Call;
use shared::page::{Found, Page};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use crate::error::Error;
use crate::store::ledger_intents::{self, Undelivered, UndeliveredPosition};

const QUERY: &str = "list-undelivered-controls";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListUndeliveredControlsRequest>,
) -> Result<Response<wire::ListUndeliveredControlsResponse>, Status> {
    let call = Call::of(&request)?;
    let page = decode(request.get_ref(), &call)?;
    let found = handle(rpc, &call, &page).await?;
    let (undelivered_controls, next_page_token) =
        page.fill(found, rpc.message_bytes_max, Undelivered::position, |one| encode(&one));
    let answer = wire::ListUndeliveredControlsResponse { undelivered_controls, next_page_token };
    Ok(Response::new(answer))
}

fn decode(
    request: &wire::ListUndeliveredControlsRequest,
    call: &Call,
) -> Decoded<Page<UndeliveredPosition>> {
    let tenant = call.tenant()?;
    Page::decode(&tenant.key, QUERY, &tenant.id, request.page_size, &request.page_token)
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    page: &Page<UndeliveredPosition>,
) -> Result<Found<Undelivered, UndeliveredPosition>, Error> {
    let (tenant, after, limit) = (call.tenant_id()?, page.after, page.limit());
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(ledger_intents::list(conn, tenant, after.as_ref(), limit)?)
    };
    Ok(Found::all(rpc.db.read("list_undelivered_controls", call.scope(), read).await?))
}

fn encode(undelivered: &Undelivered) -> wire::UndeliveredControls {
    wire::UndeliveredControls {
        account: undelivered.account_id.name(),
        version: undelivered.version,
        attempts: undelivered.attempts,
        due_time: undelivered.due_time.map(Timestamp::encode),
        create_time: Some(undelivered.create_time.encode()),
    }
}
