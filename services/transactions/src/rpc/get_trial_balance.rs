//! `BalanceService.GetTrialBalance`.

use prost::Message as _;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::money::{Currencies, Currency, Units};
use shared::problem::{Problem, Reason};
use shared::time::Day;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use wire::get_trial_balance_request::AsOf as Wire;

use super::{Rpc, encode};
use crate::domain::Direction;
use crate::store::trial_balances::{self, AsOf, LINES_MAX, Line};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetTrialBalanceRequest>,
) -> Result<Response<wire::TrialBalance>, Status> {
    let call = Call::of(&request)?;
    let request = request.into_inner();
    let today = rpc.clock.now().day_in(&call.tenant()?.zone);
    let as_of = as_of(request.as_of.as_ref(), today)?;
    let read = |known: &Currencies| currency(&request.currency, known);
    let currency = rpc.currencies.decode(&call, read).await?;
    Ok(Response::new(handle(rpc, &call, as_of, currency).await?))
}

fn as_of(wire: Option<&Wire>, today: Day) -> Decoded<AsOf> {
    let read = |day: &str, field: &str| match Day::parse(day).at(field)? {
        day if day > today => Err(invalid("must not be in the future")).at(field),
        day => Ok(day),
    };
    Ok(match wire {
        None => AsOf::Now,
        Some(Wire::BookingDate(day)) => AsOf::Booking(read(day, "booking_date")?),
        Some(Wire::ValueDate(day)) => AsOf::Value(read(day, "value_date")?),
    })
}

fn currency(code: &str, known: &Currencies) -> Decoded<Option<Currency>> {
    let currency = Some(code).filter(|code| !code.is_empty());
    currency.map(|code| Currency::decode(code, known).at("currency")).transpose()
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    as_of: AsOf,
    currency: Option<Currency>,
) -> Result<wire::TrialBalance, Problem> {
    let tenant = call.tenant_id()?;
    let read = rpc.db.read("get_trial_balance", call.scope(), move |conn| {
        trial_balances::lines(conn, tenant, as_of, currency.as_ref().map(Currency::code))
    });
    let lines = read.await?;
    if lines.len() > LINES_MAX {
        let message = format!("A trial balance has at most {LINES_MAX} lines.");
        return Err(Problem::new(Reason::TooManyItems, message).figure("limit", LINES_MAX));
    }
    let totals = totals(&lines)?;
    let lines = lines.into_iter().map(line).collect();
    let answer = wire::TrialBalance { lines, totals };
    let (bytes, most) = (answer.encoded_len(), rpc.message_bytes_max);
    if bytes > most {
        let message = "The answer is larger than a message may be. Ask for one currency.";
        let problem = Problem::new(Reason::MessageTooLarge, message);
        return Err(problem.figure("bytes", bytes).figure("limit", most));
    }
    Ok(answer)
}

/// The sums by currency. Lines come in the order of the currencies.
fn totals(lines: &[Line]) -> Result<Vec<wire::TrialBalanceTotal>, Problem> {
    let by_currency = lines.chunk_by(|one, next| one.currency == next.currency);
    let total = |lines: &[Line]| {
        let currency = lines.first().map(|line| line.currency).ok_or_else(Problem::internal)?;
        let sum = |side: fn(&Line) -> Units| {
            lines.iter().try_fold(Units::ZERO, |sum, line| sum.checked_add(side(line)))
        };
        let overflow = || Problem::new(Reason::AmountOverflow, "The sums have over 38 digits.");
        let debits = sum(|line| line.debits).ok_or_else(overflow)?;
        let credits = sum(|line| line.credits).ok_or_else(overflow)?;
        if debits != credits {
            tracing::error!(%currency, ?debits, ?credits, "the books do not balance");
            return Err(Problem::new(Reason::BooksMismatch, "The books do not balance."));
        }
        Ok(wire::TrialBalanceTotal {
            currency: currency.code().to_owned(),
            debits: Some(debits.encode(currency)),
            credits: Some(credits.encode(currency)),
        })
    };
    by_currency.map(total).collect()
}

fn line(line: Line) -> wire::TrialBalanceLine {
    let money = |units: Units| Some(units.encode(line.currency));
    let (grows, falls) = match line.class.normal_side() {
        Direction::Debit => (line.debits, line.credits),
        Direction::Credit => (line.credits, line.debits),
    };
    wire::TrialBalanceLine {
        currency: line.currency.code().to_owned(),
        class: encode::account_class(line.class).into(),
        gl_code: line.gl_code,
        debits: money(line.debits),
        credits: money(line.credits),
        balance: money(grows.checked_sub(falls).unwrap_or_default()),
        account_count: line.accounts,
    }
}
