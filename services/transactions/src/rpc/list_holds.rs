//! `HoldService.ListHolds`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, filters};
use crate::domain::{Hold, HoldState};
use crate::error::Error;
use crate::store::hold_lists::{self, Candidate, Filter, Place};
use crate::store::holds;

const QUERY: &str = "list-holds";
const FIELDS: [&str; 5] = ["account", "type", "state", "external_ids.{KIND}", "create_time"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListHoldsRequest>,
) -> Result<Response<wire::ListHoldsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let (holds, next_page_token) = handle(rpc, &call, filter, page).await?;
    Ok(Response::new(wire::ListHoldsResponse { holds, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    filter: Filter,
    page: Page<Place>,
) -> Result<(Vec<wire::Hold>, String), Error> {
    let (tenant, bytes_max, now) = (call.tenant_id()?, rpc.message_bytes_max, rpc.clock.now());
    let timeline = rpc.timeline;
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&Place>, limit| {
            hold_lists::candidates(conn, tenant, &filter, after, limit)
        };
        let is_kept = |one: &Candidate| one.is_kept(&filter, now);
        let found = Found::among(&page, candidates, Candidate::place, is_kept)?;
        page.load(
            found,
            bytes_max,
            Candidate::place,
            |_| hold_lists::BYTES,
            |some| {
                let ids = some.iter().map(|one| one.id).collect();
                let mut loaded = holds::select_all(conn, tenant, &ids)?;
                let holds = some.iter().filter_map(|one| loaded.remove(&one.id));
                Ok(holds.map(|hold: Hold| encode::hold(hold.at(now), timeline)).collect())
            },
        )
    };
    rpc.db.read("list_holds", call.scope(), read).await
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "account" => term.set(&mut filter.account, term.name()?)?,
            "type" => term.set(&mut filter.kind, filters::kind(&term)?)?,
            "state" => term.set(&mut filter.state, filters::constant(&term, "STATE_", state)?)?,
            "create_time" => filter.period.add(&term)?,
            _ => match term.key("external_ids") {
                Some(kind) => filters::set_entry(&mut filter.external_ids, kind, &term)?,
                None => return Err(term.unknown(&FIELDS)),
            },
        }
    }
    Ok(filter)
}

fn state(name: &str) -> Option<HoldState> {
    use wire::hold::State;
    match State::from_str_name(name)? {
        State::Unspecified => None,
        State::Open => Some(HoldState::Open),
        State::Captured => Some(HoldState::Captured),
        State::Released => Some(HoldState::Released),
        State::Expired => Some(HoldState::Expired),
    }
}
