//! `TransactionService.ListTransactions`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter;
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, filters};
use crate::error::Error;
use crate::store::transaction_lists::{Candidate, Filter, Place, Walk};
use crate::store::transactions;

const QUERY: &str = "list-transactions";
const FIELDS: [&str; 6] =
    ["account", "type", "group_id", "labels.{key}", "external_ids.{KIND}", "record_time"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListTransactionsRequest>,
) -> Result<Response<wire::ListTransactionsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let (transactions, next_page_token) = handle(rpc, &call, filter, page).await?;
    Ok(Response::new(wire::ListTransactionsResponse { transactions, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    filter: Filter,
    page: Page<Place>,
) -> Result<(Vec<wire::Transaction>, String), Error> {
    let (tenant, bytes_max, caller) = (call.tenant_id()?, rpc.message_bytes_max, call.clone());
    let read = move |conn: &mut PgConnection| {
        let walk = Walk::choose(conn, tenant, &filter, page.after.as_ref())?;
        let place = |one: &Candidate| one.place;
        let candidates = |after: Option<&Place>, limit| walk.candidates(conn, after, limit);
        let found = Found::among(&page, candidates, place, |one| one.is_kept)?;
        page.load(found, bytes_max, place, Candidate::bytes, |some| {
            let ids: Vec<_> = some.iter().map(|one| one.id).collect();
            let loaded = transactions::select_all(conn, tenant, &ids)?;
            let messages = loaded.into_iter().map(|one| encode::transaction(one, &caller));
            Ok(messages.collect())
        })
    };
    rpc.db.read("list_transactions", call.scope(), read).await
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "account" => term.set(&mut filter.account, term.name()?)?,
            "type" => term.set(&mut filter.kind, filters::kind(&term)?)?,
            "group_id" => term.set(&mut filter.group_id, term.equal()?.to_owned())?,
            "record_time" => filter.period.add(&term)?,
            _ => match (term.key("labels"), term.key("external_ids")) {
                (Some(key), _) => filters::set_entry(&mut filter.labels, key, &term)?,
                (_, Some(kind)) => filters::set_entry(&mut filter.external_ids, kind, &term)?,
                (None, None) => return Err(term.unknown(&FIELDS)),
            },
        }
    }
    Ok(filter)
}
