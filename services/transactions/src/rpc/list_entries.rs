//! `BalanceService.ListEntries`.

use std::collections::BTreeMap;

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter::{self, Period};
use shared::grpc::Call;
use shared::page::{Found, Page};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::orders::sees_balances;
use super::{Rpc, decode, encode, filters};
use crate::domain::{AccountId, DESCRIPTION, Direction, LedgerAccount, TransactionId};
use crate::error::Error;
use crate::store::entries::{self, Listed};
use crate::store::{ledger_accounts, texts};

const QUERY: &str = "list-entries";
const FIELDS: [&str; 3] = ["type", "direction", "record_time"];

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Filter {
    kind: Option<String>,
    direction: Option<Direction>,
    period: Period,
}

impl Filter {
    fn keeps(&self, entry: &Listed) -> bool {
        self.kind.as_ref().is_none_or(|kind| entry.kind == *kind)
            && self.direction.is_none_or(|direction| entry.direction() == direction)
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListEntriesRequest>,
) -> Result<Response<wire::ListEntriesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let account = AccountId::parse_name(&request.account).at("account")?;
    let filter = parse(&request.filter).at("filter")?;
    let arguments = (tenant.id, account, &request.filter);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    let (entries, next_page_token) = handle(rpc, &call, account, filter, page).await?;
    Ok(Response::new(wire::ListEntriesResponse { entries, next_page_token }))
}

/// The places of the entries in their account are their places in the list.
async fn handle(
    rpc: &Rpc,
    call: &Call,
    id: AccountId,
    filter: Filter,
    page: Page<i64>,
) -> Result<(Vec<wire::AccountEntry>, String), Error> {
    let (tenant, bytes_max, sees) = (call.tenant_id()?, rpc.message_bytes_max, sees_balances(call));
    let read = move |conn: &mut PgConnection| {
        let account = ledger_accounts::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        let begin = match (page.after, filter.period.before) {
            (Some(after), _) => after,
            (None, None) => account.entry_seq + 1,
            (None, Some(time)) => entries::first_from(conn, tenant, id, account.entry_seq, time)?,
        };
        let candidates = |after: Option<&i64>, limit| {
            let place = after.copied().unwrap_or(begin);
            entries::in_front(conn, tenant, id, place, filter.period.from, limit)
        };
        let place = |entry: &Listed| entry.entry_seq;
        let found = Found::among(&page, candidates, place, |entry| filter.keeps(entry))?;
        page.load(
            found,
            bytes_max,
            place,
            |_| entries::BYTES,
            |some| {
                let wanted: Vec<_> =
                    some.iter().map(|e| (e.transaction_id, e.entry_index)).collect();
                let texts = texts::select_of_entries(conn, tenant, &wanted)?;
                Ok(some.iter().map(|entry| encode(entry, &texts, &account, sees)).collect())
            },
        )
    };
    rpc.db.read("list_entries", call.scope(), read).await
}

fn encode(
    entry: &Listed,
    texts: &BTreeMap<(TransactionId, i32), String>,
    account: &LedgerAccount,
    sees_balances: bool,
) -> wire::AccountEntry {
    let text = |index| texts.get(&(entry.transaction_id, index)).cloned().unwrap_or_default();
    let money = |units| account.money(units).encode();
    wire::AccountEntry {
        transaction: entry.transaction_id.name(),
        r#type: entry.kind.clone(),
        description: text(DESCRIPTION),
        entry_index: entry.entry_index,
        direction: encode::direction(entry.direction()).into(),
        amount: Some(money(entry.amount)),
        memo: text(entry.entry_index),
        posted: sees_balances.then(|| money(entry.posted_after)),
        available: entry.available_after.filter(|_| sees_balances).map(money),
        entry_seq: entry.entry_seq,
        version: entry.version_after,
        effective_time: Some(entry.effective_time.encode()),
        record_time: Some(entry.record_time.encode()),
        booking_date: entry.booking_date.to_string(),
    }
}

fn parse(text: &str) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "type" => term.set(&mut filter.kind, filters::kind(&term)?)?,
            "direction" => {
                let direction = filters::constant(&term, "DIRECTION_", direction)?;
                term.set(&mut filter.direction, direction)?;
            }
            "record_time" => filter.period.add(&term)?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

fn direction(name: &str) -> Option<Direction> {
    decode::direction(wire::Direction::from_str_name(name)?).ok()
}
