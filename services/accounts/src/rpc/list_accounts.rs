//! `ListAccounts`.

use diesel::PgConnection;
use prost::Message as _;
use shared::field::{At as _, Decoded};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::page::{self, Pages};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Rpc, encode, filter, own_customer};
use crate::domain::{Account, AccountFilter, AccountId, CustomerId, Holder, Position};
use crate::error::Error;
use crate::store::accounts;

const QUERY: &str = "list-accounts";
/// Kept free in a message for all that is not accounts.
const OVERHEAD_BYTES: usize = 4_096;

struct ListAccounts {
    tenant: TenantId,
    size: i64,
    filter: AccountFilter,
    after: Option<Position>,
    pages: Pages,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListAccountsRequest>,
) -> Result<Response<wire::ListAccountsResponse>, Status> {
    let call = Call::of(&request)?;
    let own = own_customer(&call)?;
    let list = decode(request.get_ref(), &call, own)?;
    let found = handle(rpc, &call, &list, own).await?;
    Ok(Response::new(encode(found, &list, rpc.message_bytes_max)))
}

fn decode(
    request: &wire::ListAccountsRequest,
    call: &Call,
    own: Option<CustomerId>,
) -> Decoded<ListAccounts> {
    let tenant = call.tenant()?;
    // All that decides which accounts there are. The size may change on the way.
    let pages = Pages::new(&tenant.key, QUERY, &(tenant.id, own, &request.filter));
    let cursor = pages.cursor(&request.page_token).at("page_token")?;
    Ok(ListAccounts {
        tenant: tenant.id,
        size: page::size(request.page_size).at("page_size")?,
        filter: filter::parse(&request.filter).at("filter")?,
        after: cursor.as_deref().map(position).transpose().at("page_token")?,
        pages,
    })
}

/// The place behind which a page begins: microseconds and an id.
fn position(cursor: &[u8]) -> Decoded<Position> {
    let parse = || {
        let (micros, id) = cursor.split_first_chunk::<8>()?;
        let create_time = Timestamp::from_micros(i64::from_be_bytes(*micros));
        let id = AccountId::from_uuid(Uuid::from_slice(id).ok()?);
        Some(Position { create_time, id })
    };
    // The token is one of ours, so an earlier version of this service made it.
    parse().ok_or_else(|| {
        let sentence = "is of an earlier version: begin with the first page";
        Box::new(Problem::new(Reason::PageTokenInvalid, sentence).in_field(""))
    })
}

fn cursor(position: Position) -> Vec<u8> {
    let mut cursor = position.create_time.micros().to_be_bytes().to_vec();
    cursor.extend_from_slice(position.id.uuid().as_bytes());
    cursor
}

/// A page, and one account more where there is one.
async fn handle(
    rpc: &Rpc,
    call: &Call,
    list: &ListAccounts,
    own: Option<CustomerId>,
) -> Result<Vec<Account>, Error> {
    let mut filter = list.filter.clone();
    if let Some(own) = own {
        let own = Holder::Customer(own);
        if filter.holder.is_some_and(|holder| holder != own) {
            return Ok(Vec::new());
        }
        filter.holder = Some(own);
    }
    let (tenant, after, limit) = (list.tenant, list.after, list.size + 1);
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(accounts::list(conn, tenant, &filter, after, limit)?)
    };
    rpc.db.read("list_accounts", call.scope(), read).await
}

/// As many of the accounts as the page may have, and as fit into a message.
fn encode(
    found: Vec<Account>,
    list: &ListAccounts,
    message_bytes_max: usize,
) -> wire::ListAccountsResponse {
    let size = usize::try_from(list.size).unwrap_or(usize::MAX);
    let count = found.len();
    let mut room_bytes = message_bytes_max.saturating_sub(OVERHEAD_BYTES);
    let (mut accounts, mut end) = (Vec::new(), None);
    for account in found.into_iter().take(size) {
        let position = account.position();
        let account = encode::account(account);
        // The tag and the length take a few bytes more.
        let bytes = account.encoded_len() + 8;
        if bytes > room_bytes && !accounts.is_empty() {
            break;
        }
        room_bytes = room_bytes.saturating_sub(bytes);
        accounts.push(account);
        end = Some(position);
    }
    let more = end.filter(|_| accounts.len() < count);
    let next_page_token = more.map(|end| list.pages.token(&cursor(end)));
    wire::ListAccountsResponse { accounts, next_page_token: next_page_token.unwrap_or_default() }
}
