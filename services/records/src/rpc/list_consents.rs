//! `GovernanceService.ListConsents`.

use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::Page;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::governance::{self, List};
use crate::domain::consent::Consent;
use crate::store::consents::{self, Filter};
use crate::store::latest::Place;

const QUERY: &str = "list-consents";
const FIELDS: [&str; 2] = ["subject", "grantee"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListConsentsRequest>,
) -> Result<Response<wire::ListConsentsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, &request.filter), size, token)?;
    let keeps = filter.clone();
    let list = List {
        name: "list_consents",
        candidates: move |conn: &mut _, after: Option<&Place>, limit| {
            consents::candidates(conn, id, &filter, after, limit)
        },
        keeps: move |consent: &Consent| keeps.keeps(consent),
        place: |consent: &Consent| Place::new(consent.create_time, consent.id.uuid()),
        encode: governance::consent,
    };
    let (consents, next_page_token) = list.page(rpc, &call, page).await?;
    Ok(Response::new(wire::ListConsentsResponse { consents, next_page_token }))
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "subject" => term.set(&mut filter.subject, term.name()?)?,
            "grantee" => term.set(&mut filter.grantee, term.equal()?.to_owned())?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}
