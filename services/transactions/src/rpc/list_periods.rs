//! `StatementService.ListPeriods`.

use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::periods::{self, Period};
use crate::domain::Month;
use crate::error::Error;
use crate::store;

const QUERY: &str = "list-periods";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListPeriodsRequest>,
) -> Result<Response<wire::ListPeriodsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (size, token) = (request.get_ref().page_size, &request.get_ref().page_token);
    let page = Page::decode(&tenant.key, QUERY, &tenant.id, size, token)?;
    let found = handle(rpc, &call, &page).await?;
    let month = |period: &Period| period.month;
    let (periods, next_page_token) = page.fill(found, rpc.message_bytes_max, month, Period::encode);
    Ok(Response::new(wire::ListPeriodsResponse { periods, next_page_token }))
}

/// From the month that it is, or the one before the last page's end, back to the first that anybody
/// has changed.
async fn handle(rpc: &Rpc, call: &Call, page: &Page<Month>) -> Result<Found<Period, Month>, Error> {
    let (tenant, limit) = (call.tenant()?, page.size + 1);
    let (id, today) = (tenant.id, rpc.clock.now().day_in(&tenant.zone));
    let last = page.after.map_or(Month::of(today), Month::previous);
    let read = rpc.db.read("list_periods", call.scope(), move |conn| {
        let first = store::periods::first(conn, id)?.unwrap_or(Month::of(today));
        let months = std::iter::successors(Some(last), |month| Some(month.previous()));
        let months = months.take(limit).take_while(|month| *month >= first);
        match months.last() {
            None => Ok(Vec::new()),
            Some(first) => periods::read(conn, id, (first, last)),
        }
    });
    read.await.map(Found::all)
}
