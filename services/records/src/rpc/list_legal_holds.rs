//! `GovernanceService.ListLegalHolds`.

use shared::field::{At as _, Decoded};
use shared::filter::{self, Term};
use shared::grpc::Call;
use shared::page::Page;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::governance::{self, List};
use crate::domain::legal_hold::{HoldState, LegalHold};
use crate::store::latest::Place;
use crate::store::legal_holds::{self, Filter};

const QUERY: &str = "list-legal-holds";
const FIELDS: [&str; 3] = ["target", "authority", "state"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListLegalHoldsRequest>,
) -> Result<Response<wire::ListLegalHoldsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, &request.filter), size, token)?;
    let keeps = filter.clone();
    let list = List {
        name: "list_legal_holds",
        candidates: move |conn: &mut _, after: Option<&Place>, limit| {
            legal_holds::candidates(conn, id, &filter, after, limit)
        },
        keeps: move |hold: &LegalHold| keeps.keeps(hold),
        place: |hold: &LegalHold| Place::new(hold.create_time, hold.id.uuid()),
        encode: governance::legal_hold,
    };
    let (legal_holds, next_page_token) = list.page(rpc, &call, page).await?;
    Ok(Response::new(wire::ListLegalHoldsResponse { legal_holds, next_page_token }))
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "target" => target(&term, &mut filter)?,
            "authority" => term.set(&mut filter.authority, term.equal()?.to_owned())?,
            "state" => {
                let state = governance::constant(&term, "STATE_", state)?;
                term.set(&mut filter.state, state)?;
            }
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

fn target(term: &Term, filter: &mut Filter) -> Decoded<()> {
    if filter.subject.is_some() || filter.record.is_some() {
        return Err(term.refused("must have only one target"));
    }
    if term.equal()?.starts_with("records/") {
        filter.record = Some(term.name()?);
    } else {
        filter.subject = Some(term.name()?);
    }
    Ok(())
}

fn state(name: &str) -> Option<HoldState> {
    use wire::legal_hold::State;
    match State::from_str_name(name)? {
        State::Unspecified => None,
        State::Active => Some(HoldState::Active),
        State::ReleaseRequested => Some(HoldState::ReleaseRequested),
        State::Released => Some(HoldState::Released),
    }
}
