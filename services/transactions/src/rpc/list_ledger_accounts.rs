//! `LedgerService.ListLedgerAccounts`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter::{self, Term};
use shared::grpc::Call;
use shared::ids::{Id, Resource};
use shared::money::Currency;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, decode, encode, filters};
use crate::domain::{AccountClass, AccountId};
use crate::error::Error;
use crate::store::ledger_account_lists::{self, Candidate, Filter, Has};
use crate::store::ledger_accounts;

const QUERY: &str = "list-ledger-accounts";
const FIELDS: [&str; 6] = ["customer", "parent", "gl_code", "class", "currency", "state"];

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListLedgerAccountsRequest>,
) -> Result<Response<wire::ListLedgerAccountsResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let (accounts, next_page_token) = handle(rpc, &call, filter, page).await?;
    Ok(Response::new(wire::ListLedgerAccountsResponse { accounts, next_page_token }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    filter: Filter,
    page: Page<AccountId>,
) -> Result<(Vec<wire::LedgerAccount>, String), Error> {
    let (tenant, bytes_max, now) = (call.tenant_id()?, rpc.message_bytes_max, rpc.clock.now());
    let timeline = rpc.timeline;
    let read = move |conn: &mut PgConnection| {
        let candidates = |after: Option<&AccountId>, limit| {
            ledger_account_lists::candidates(conn, tenant, &filter, after, limit)
        };
        let id = |one: &Candidate| one.id;
        let found = Found::among(&page, candidates, id, |one| one.is_kept(&filter))?;
        page.load(found, bytes_max, id, Candidate::bytes, |some| {
            let ids = some.iter().map(id).collect();
            // By id, which is the order of the list.
            let loaded = ledger_accounts::select_now(conn, tenant, &ids, now)?;
            let encode = |account| encode::ledger_account(account, now, timeline);
            Ok(loaded.values().map(encode).collect())
        })
    };
    rpc.db.read("list_ledger_accounts", call.scope(), read).await
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "customer" => term.set(&mut filter.customer, name(&term)?)?,
            "parent" => term.set(&mut filter.parent, name(&term)?)?,
            "gl_code" => term.set(&mut filter.gl_code, term.equal()?.to_owned())?,
            "class" => {
                let class = filters::constant(&term, "ACCOUNT_CLASS_", class)?;
                term.set(&mut filter.class, class)?;
            }
            "currency" => {
                // Which decimals it has, and whether there is one, decides nothing here.
                let code = |code: &str| Currency::new(code, 0).map(|_| code.to_owned());
                term.set(&mut filter.currency, term.read(code)?)?;
            }
            "state" => {
                let is_closed = filters::constant(&term, "STATE_", is_closed)?;
                term.set(&mut filter.is_closed, is_closed)?;
            }
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

/// The name of a resource; empty for none.
fn name<R: Resource>(term: &Term) -> Decoded<Has<Id<R>>> {
    if term.equal()?.is_empty() { Ok(Has::Nothing) } else { term.name().map(Has::This) }
}

fn class(name: &str) -> Option<AccountClass> {
    decode::account_class(wire::AccountClass::from_str_name(name)?).ok()
}

fn is_closed(name: &str) -> Option<bool> {
    use wire::ledger_account::State;
    match State::from_str_name(name)? {
        State::Unspecified => None,
        State::Open => Some(false),
        State::Closed => Some(true),
    }
}
