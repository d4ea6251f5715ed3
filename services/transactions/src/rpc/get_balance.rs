//! `BalanceService.GetBalance`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::money::Units;
use shared::problem::Problem;
use shared::time::{Day, Timestamp};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use wire::get_balance_request::AsOf as Wire;

use super::{Rpc, encode};
use crate::domain::{AccountId, Direction, LedgerAccount};
use crate::error::Error;
use crate::store::balances_at::{self, After, Sides};
use crate::store::ledger_accounts;

/// A point on one of the axes of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AsOf {
    BookingDate(Day),
    EffectiveTime(Timestamp),
    RecordTime(Timestamp),
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetBalanceRequest>,
) -> Result<Response<wire::Balance>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let id = AccountId::parse_name(&request.account).at("account")?;
    let Some(as_of) = request.as_of.map(decode).transpose()? else {
        let account = rpc.account(&call, id).await?;
        return Ok(Response::new(encode::balance(&account, rpc.clock.now())));
    };
    let now = rpc.clock.now();
    not_later(as_of, now, now.day_in(&call.tenant()?.zone))?;
    Ok(Response::new(handle(rpc, &call, id, as_of).await?))
}

fn decode(as_of: Wire) -> Decoded<AsOf> {
    Ok(match as_of {
        Wire::BookingDate(day) => AsOf::BookingDate(Day::parse(&day).at("booking_date")?),
        Wire::EffectiveTime(time) => {
            AsOf::EffectiveTime(Timestamp::decode(time).at("effective_time")?)
        }
        Wire::RecordTime(time) => AsOf::RecordTime(Timestamp::decode(time).at("record_time")?),
    })
}

/// What is still to come changes no balance that anybody could rely on.
fn not_later(as_of: AsOf, now: Timestamp, today: Day) -> Decoded<()> {
    let (is_later, field) = match as_of {
        AsOf::BookingDate(day) => (day > today, "booking_date"),
        AsOf::EffectiveTime(time) => (time > now, "effective_time"),
        AsOf::RecordTime(time) => (time > now, "record_time"),
    };
    if is_later { Err(invalid("must not be in the future")).at(field) } else { Ok(()) }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    id: AccountId,
    as_of: AsOf,
) -> Result<wire::Balance, Problem> {
    let tenant = call.tenant()?;
    let (tenant, zone) = (tenant.id, tenant.zone.clone());
    let read = move |conn: &mut PgConnection| {
        let account = ledger_accounts::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        Ok::<_, Error>(match as_of {
            AsOf::BookingDate(day) => posted(&account, balances_at::booked(conn, tenant, id, day)?),
            AsOf::EffectiveTime(time) => {
                let day = time.day_in(&zone);
                posted(&account, balances_at::effective(conn, tenant, &account, day, time)?)
            }
            AsOf::RecordTime(time) => {
                recorded(&account, balances_at::recorded(conn, tenant, &account, time)?)
            }
        })
    };
    Ok(rpc.db.read("get_balance_as_of", call.scope(), read).await?)
}

/// What was posted, without all that is not known of the past.
fn posted(account: &LedgerAccount, sides: Sides) -> wire::Balance {
    let money = |units| Some(account.money(units).encode());
    let (grows, falls) = match account.class.normal_side() {
        Direction::Debit => (sides.debits, sides.credits),
        Direction::Credit => (sides.credits, sides.debits),
    };
    wire::Balance {
        account: account.id.name(),
        currency: account.currency.code().to_owned(),
        posted_debits: money(sides.debits),
        posted_credits: money(sides.credits),
        posted: money(grows.checked_sub(falls).unwrap_or_default()),
        ..wire::Balance::default()
    }
}

fn recorded(account: &LedgerAccount, after: Option<After>) -> wire::Balance {
    let money = |units| Some(account.money(units).encode());
    let head = wire::Balance {
        account: account.id.name(),
        currency: account.currency.code().to_owned(),
        posted: money(Units::ZERO),
        ..wire::Balance::default()
    };
    let Some(after) = after else { return head };
    wire::Balance {
        posted: money(after.posted),
        available: after.available.and_then(money),
        entry_seq: after.entry_seq,
        version: after.version,
        record_time: Some(after.record_time.encode()),
        ..head
    }
}
