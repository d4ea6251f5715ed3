//! `GovernanceService.ListBreakGlass`.

use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::Page;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::governance::{self, List};
use crate::domain::break_glass::Lease;
use crate::store::break_glass_leases::{self, Filter};
use crate::store::latest::Place;

const QUERY: &str = "list-break-glass";
const FIELDS: [&str; 3] = ["subject", "principal", "reviewed"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListBreakGlassRequest>,
) -> Result<Response<wire::ListBreakGlassResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, &request.filter), size, token)?;
    let keeps = filter.clone();
    let list = List {
        name: "list_break_glass",
        candidates: move |conn: &mut _, after: Option<&Place>, limit| {
            break_glass_leases::candidates(conn, id, &filter, after, limit)
        },
        keeps: move |lease: &Lease| keeps.keeps(lease),
        place: |lease: &Lease| Place::new(lease.create_time, lease.id.uuid()),
        encode: governance::lease,
    };
    let (leases, next_page_token) = list.page(rpc, &call, page).await?;
    Ok(Response::new(wire::ListBreakGlassResponse { leases, next_page_token }))
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "subject" => term.set(&mut filter.subject, term.name()?)?,
            "principal" => term.set(&mut filter.principal, term.equal()?.to_owned())?,
            "reviewed" => term.set(&mut filter.reviewed, term.read(|text| text.parse().ok())?)?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}
