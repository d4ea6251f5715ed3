//! `RecordService.ListRecords`.

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded};
use shared::filter::{self, Term};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::record::{RecordId, RecordState};
use crate::domain::record_type::RECORD_TYPE_ID_MAX;
use crate::error::Error;
use crate::store::record_lists::{self, Candidate, Filter};

const QUERY: &str = "list-records";
const FIELDS: [&str; 6] = ["subject", "type", "state", "labels.{key}", "create_time", "event_time"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRecordsRequest>,
) -> Result<Response<wire::ListRecordsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let (records, next_page_token) = handle(rpc, &call, filter, page).await?;
    Ok(Response::new(wire::ListRecordsResponse { records, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    filter: Filter,
    page: Page<RecordId>,
) -> Result<(Vec<wire::Record>, String), Error> {
    let (tenant, bytes_max) = (call.tenant_id()?, rpc.message_bytes_max);
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&RecordId>, limit| {
            record_lists::candidates(conn, tenant, &filter, after.copied(), limit)
        };
        let found = Found::among(&page, candidates, Candidate::id, |one| one.is_kept)?;
        page.load(
            found,
            bytes_max,
            Candidate::id,
            |_| record_lists::BYTES,
            |some| {
                let ids: Vec<_> = some.iter().map(Candidate::id).collect();
                let records = record_lists::select_all(conn, tenant, &ids)?;
                Ok(records.into_iter().map(encode::basic).collect())
            },
        )
    };
    rpc.db.read("list_records", call.scope(), read).await
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "subject" => term.set(&mut filter.subject, term.name()?)?,
            "type" => term.set(&mut filter.kind, term.read(kind)?)?,
            "state" => term.set(&mut filter.state, term.read(state)?)?,
            "create_time" => filter.created.add(&term)?,
            "event_time" => filter.happened.add(&term)?,
            _ => match term.key("labels") {
                Some(key) => label(&mut filter, key, &term)?,
                None => return Err(term.unknown(&FIELDS)),
            },
        }
    }
    Ok(filter)
}

/// Keeps what a label has to be; a second term for the same key is refused.
fn label(filter: &mut Filter, key: &str, term: &Term) -> Decoded<()> {
    let mut value = filter.labels.remove(key);
    term.set(&mut value, term.equal()?.to_owned())?;
    filter.labels.extend(value.map(|value| (key.to_owned(), value)));
    Ok(())
}

fn kind(value: &str) -> Option<String> {
    field::kebab(value.to_owned(), RECORD_TYPE_ID_MAX).ok()
}

fn state(name: &str) -> Option<RecordState> {
    match name.strip_prefix("STATE_").unwrap_or(name) {
        "ACTIVE" => Some(RecordState::Active),
        "DELETED" => Some(RecordState::Deleted),
        "PURGED" => Some(RecordState::Purged),
        _ => None,
    }
}
