//! `SubjectService.ListSubjects`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter::{self, Period};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, governance};
use crate::domain::subject::{Subject, SubjectId, SubjectState};
use crate::error::Error;
use crate::store::subjects;

const QUERY: &str = "list-subjects";
const FIELDS: [&str; 2] = ["state", "create_time"];

/// What the list lets through.
#[derive(Debug, Clone, Default)]
struct Filter {
    state: Option<SubjectState>,
    period: Period,
}

impl Filter {
    fn keeps(&self, subject: &Subject) -> bool {
        self.state.is_none_or(|state| state == subject.state)
            && self.period.from.is_none_or(|from| from <= subject.create_time)
            && self.period.before.is_none_or(|before| subject.create_time < before)
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListSubjectsRequest>,
) -> Result<Response<wire::ListSubjectsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, &request.filter), size, token)?;
    let bytes_max = rpc.message_bytes_max;
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&SubjectId>, limit| subjects::list(conn, id, after, limit);
        let found = Found::among(&page, candidates, |one| one.id, |one| filter.keeps(one))?;
        let encode = |subject: Subject| encode::subject(&subject);
        Ok::<_, Error>(page.fill(found, bytes_max, |one| one.id, encode))
    };
    let listed = rpc.db.read("list_subjects", call.scope(), read).await?;
    let (subjects, next_page_token) = listed;
    Ok(Response::new(wire::ListSubjectsResponse { subjects, next_page_token }))
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "state" => {
                let state = governance::constant(&term, "STATE_", state)?;
                term.set(&mut filter.state, state)?;
            }
            "create_time" => filter.period.add(&term)?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

fn state(name: &str) -> Option<SubjectState> {
    use wire::subject::State;
    match State::from_str_name(name)? {
        State::Unspecified => None,
        State::Active => Some(SubjectState::Active),
        State::Restricted => Some(SubjectState::Restricted),
        State::Erased => Some(SubjectState::Erased),
    }
}
