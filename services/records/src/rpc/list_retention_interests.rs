//! `GovernanceService.ListRetentionInterests`.

use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::Page;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::governance::{self, List};
use crate::domain::retention::RetentionInterest;
use crate::store::latest::Place;
use crate::store::retention_interests::{self, Filter};

const QUERY: &str = "list-retention-interests";
const FIELDS: [&str; 2] = ["subject", "source"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListRetentionInterestsRequest>,
) -> Result<Response<wire::ListRetentionInterestsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, &request.filter), size, token)?;
    let keeps = filter.clone();
    let list = List {
        name: "list_retention_interests",
        candidates: move |conn: &mut _, after: Option<&Place>, limit| {
            retention_interests::candidates(conn, id, &filter, after, limit)
        },
        keeps: move |interest: &RetentionInterest| keeps.keeps(interest),
        place: |interest: &RetentionInterest| Place::new(interest.create_time, interest.id.uuid()),
        encode: governance::interest,
    };
    let (retention_interests, next_page_token) = list.page(rpc, &call, page).await?;
    Ok(Response::new(wire::ListRetentionInterestsResponse { retention_interests, next_page_token }))
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "subject" => term.set(&mut filter.subject, term.name()?)?,
            "source" => term.set(&mut filter.source, term.equal()?.to_owned())?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}
