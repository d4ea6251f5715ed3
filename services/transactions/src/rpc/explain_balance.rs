//! `BalanceService.ExplainBalance`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use jiff::tz::TimeZone;
use shared::field::At as _;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{AccountId, Books, Limit, UsageKey};
use crate::error::Error;
use crate::store::hold_lists::{self, Held};
use crate::store::{holds, ledger_accounts, limit_usages};

/// Holds that are told one by one.
const HOLDS_MAX: i64 = 1_000;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ExplainBalanceRequest>,
) -> Result<Response<wire::BalanceExplanation>, Status> {
    let call = Call::of(&request)?;
    let id = AccountId::parse_name(&request.get_ref().account).at("account")?;
    Ok(Response::new(handle(rpc, &call, id).await?))
}

async fn handle(rpc: &Rpc, call: &Call, id: AccountId) -> Result<wire::BalanceExplanation, Error> {
    let (tenant, now) = (call.tenant()?, rpc.clock.now());
    let (tenant, zone) = (tenant.id, tenant.zone.clone());
    let read = move |conn: &mut PgConnection| {
        let books = open(conn, tenant, id, now, zone.clone())?;
        let held = hold_lists::held(conn, tenant, id, now, HOLDS_MAX)?;
        explain(&books, id, held).ok_or_else(|| Error::from(id.not_found()))
    };
    rpc.db.read("explain_balance", call.scope(), read).await
}

/// The books of one account, as a posting to it would find them now: holds that have expired keep
/// nothing back, and limits have got back what they counted for them.
fn open(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    now: Timestamp,
    zone: TimeZone,
) -> Result<Books, Error> {
    let mut books = Books::open(now, zone);
    let Some(account) = ledger_accounts::select(conn, tenant, id)? else { return Ok(books) };
    let (version, record_time) = (account.version, account.record_time);
    let limits = account.controls.iter().flat_map(|controls| {
        controls.limits.iter().filter_map(|limit| limit.key(&controls.source, &account))
    });
    let mut counts: BTreeSet<UsageKey> = limits.collect();
    let is_due = account.is_due(now);
    books.accounts.insert(id, account);
    if is_due {
        let (expired, _) = holds::expiring(conn, tenant, &[id], now)?;
        books.holds = holds::select_all(conn, tenant, &expired)?;
        let counted = books.holds.values().flat_map(|hold| &hold.counted);
        counts.extend(counted.map(|counted| counted.key.clone()));
    }
    books.usages = limit_usages::select(conn, tenant, &counts, false)?;
    books.lapse(holds::lapsed(conn, tenant, &books.limited_customers(), now)?);
    if is_due {
        books.expire(id, None);
    }
    // Nothing is recorded, so the account has not changed.
    if let Some(account) = books.accounts.get_mut(&id) {
        (account.version, account.record_time) = (version, record_time);
    }
    Ok(books)
}

fn explain(books: &Books, id: AccountId, held: Vec<Held>) -> Option<wire::BalanceExplanation> {
    let account = books.accounts.get(&id)?;
    let money = |units| Some(account.money(units).encode());
    let others = held.iter().try_fold(account.held, |left, hold| left.checked_sub(hold.remaining));
    let holds = held.into_iter().map(|hold| wire::HeldAmount {
        hold: hold.id.name(),
        r#type: hold.kind,
        remaining: money(hold.remaining),
        expire_time: hold.expire_time.map(Timestamp::encode),
    });
    let blocks = account.controls.iter().flat_map(|controls| {
        let in_force = controls.blocks.iter().filter(|block| block.holds_at(books.now()));
        in_force.map(|block| wire::BlockInForce {
            source: controls.source.clone(),
            block: Some(encode::block(account, block)),
        })
    });
    let used = |source: &str, limit: &Limit| {
        let key = limit.key(source, account)?;
        Some(books.used(&key, limit.window))
    };
    let limits = account.controls.iter().flat_map(|controls| {
        controls.limits.iter().map(|limit| {
            let (amount, count) = used(&controls.source, limit).unwrap_or_default();
            wire::LimitUsage {
                source: controls.source.clone(),
                limit: Some(encode::limit(account, limit)),
                used_amount: money(amount),
                used_count: count,
            }
        })
    });
    Some(wire::BalanceExplanation {
        balance: Some(encode::balance(account, books.now())),
        holds: holds.collect(),
        held_by_others: money(others.unwrap_or(Units::ZERO)),
        blocks: blocks.collect(),
        limits: limits.collect(),
        excess: money(account.excess),
    })
}
