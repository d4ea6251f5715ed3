//! `AccessLogService.ListAccessEntries`.

use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::Page;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::access_entries::{self, List};
use crate::domain::access::Action;
use crate::store::access_lists::{Filter, Target};

const QUERY: &str = "list-access-entries";
const FIELDS: [&str; 7] =
    ["principal", "subject", "resource", "action", "purpose", "decision", "time"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListAccessEntriesRequest>,
) -> Result<Response<wire::ListAccessEntriesResponse>, Status> {
    let call = Call::of(&request)?;
    let list = decode(&call, &request.into_inner())?;
    let mut access = rpc.access(&call, Action::LIST_ACCESS_ENTRIES);
    access.subject = list.filter.subject;
    let answer = access_entries::list(rpc, &call, "list_access_entries", list).await;
    let answer = answer.map_err(Problem::from);
    let (access_entries, next_page_token) = access_entries::log(rpc, &call, access, answer).await?;
    Ok(Response::new(wire::ListAccessEntriesResponse { access_entries, next_page_token }))
}

fn decode(call: &Call, request: &wire::ListAccessEntriesRequest) -> Decoded<List> {
    let filter = parse(&request.filter).at("filter")?;
    let (tenant, proofs) = (call.tenant()?, request.proofs);
    let (size, token) = (request.page_size, &request.page_token);
    let page =
        Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter, proofs), size, token)?;
    Ok(List { filter, page, proofs })
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "principal" => term.set(&mut filter.principal, term.equal()?.to_owned())?,
            "subject" => term.set(&mut filter.subject, term.name()?)?,
            "resource" => {
                let target = match term.equal()?.starts_with("records/") {
                    true => Target::Record(term.name()?),
                    false => Target::Other(term.equal()?.to_owned()),
                };
                term.set(&mut filter.target, target)?;
            }
            "action" => term.set(&mut filter.action, term.equal()?.to_owned())?,
            "purpose" => term.set(&mut filter.purpose, term.equal()?.to_owned())?,
            "decision" => term.set(&mut filter.is_permitted, term.read(decision)?)?,
            "time" => filter.period.add(&term)?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

fn decision(name: &str) -> Option<bool> {
    match name.strip_prefix("DECISION_").unwrap_or(name) {
        "PERMIT" => Some(true),
        "DENY" => Some(false),
        _ => None,
    }
}
