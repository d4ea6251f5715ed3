//! `BooksService.ListMismatches`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::{Found, Page};
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::Mismatch;
use crate::error::Error;
use crate::store::mismatches::{self, Filter, Place};

const QUERY: &str = "list-mismatches";
const FIELDS: [&str; 2] = ["resource", "state"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListMismatchesRequest>,
) -> Result<Response<wire::ListMismatchesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let found = handle(rpc, &call, filter, page.clone()).await?;
    let (mismatches, next_page_token) =
        page.fill(found, rpc.message_bytes_max, Place::of, encode::mismatch);
    Ok(Response::new(wire::ListMismatchesResponse { mismatches, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    filter: Filter,
    page: Page<Place>,
) -> Result<Found<Mismatch, Place>, Problem> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&Place>, limit| {
            mismatches::candidates(conn, tenant, &filter, after, limit)
        };
        let is_kept = |one: &Mismatch| {
            filter.is_open.is_none_or(|is_open| is_open == one.resolution.is_none())
        };
        let found = Found::among(&page, candidates, Place::of, is_kept)?;
        Ok::<_, Error>(found)
    };
    Ok(rpc.db.read("list_mismatches", call.scope(), read).await?)
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "resource" => term.set(&mut filter.resource, term.equal()?.to_owned())?,
            "state" => {
                let is_open = match term.equal()? {
                    "OPEN" => true,
                    "RESOLVED" => false,
                    _ => return Err(term.refused("must compare state with OPEN or RESOLVED")),
                };
                term.set(&mut filter.is_open, is_open)?;
            }
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}
