//! Decoding that several RPCs share.

use shared::field::{self, At as _, Decoded, invalid};
use shared::money::{Currencies, Currency, Money, Units};
use shared::problem::Reason;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;

use crate::domain::{
    AUDITOR, AccountClass, AccountId, BLOCKS_MAX, Block, Controls, CustomerId, Direction, Effect,
    LIMITS_MAX, Limit, NewAccount, Overdraft, Scope, TYPES_MAX, Window, rolling_length,
};

pub(super) fn direction(direction: wire::Direction) -> Decoded<Direction> {
    match direction {
        wire::Direction::Debit => Ok(Direction::Debit),
        wire::Direction::Credit => Ok(Direction::Credit),
        wire::Direction::Unspecified => Err(invalid("must be DEBIT or CREDIT")),
    }
}

/// An account. Output-only fields are ignored.
pub(crate) fn account(
    id: AccountId,
    wire: wire::LedgerAccount,
    controls: Vec<Controls>,
    known: &Currencies,
) -> Decoded<NewAccount> {
    let class = account_class(wire.class()).at("class")?;
    let currency = Currency::decode(&wire.currency, known).at("currency")?;
    let customer = match wire.customer.as_str() {
        "" => None,
        name => Some(CustomerId::parse_name(name).at("customer")?),
    };
    let parent = match wire.parent.as_str() {
        "" => None,
        name => Some(AccountId::parse_name(name).at("parent")?),
    };
    if parent == Some(id) {
        return Err(invalid("must be another account")).at("parent");
    }
    Ok(NewAccount {
        id,
        currency,
        class,
        gl_code: field::text(wire.gl_code, 0, 32).at("gl_code")?,
        overdraft: bound(wire.overdraft, currency, known).at("overdraft")?,
        controls,
        customer,
        parent,
    })
}

pub(super) fn account_class(class: wire::AccountClass) -> Decoded<AccountClass> {
    match class {
        wire::AccountClass::Asset => Ok(AccountClass::Asset),
        wire::AccountClass::Liability => Ok(AccountClass::Liability),
        wire::AccountClass::Equity => Ok(AccountClass::Equity),
        wire::AccountClass::Income => Ok(AccountClass::Income),
        wire::AccountClass::Expense => Ok(AccountClass::Expense),
        wire::AccountClass::Unspecified => {
            Err(invalid("must be ASSET, LIABILITY, EQUITY, INCOME or EXPENSE"))
        }
    }
}

fn bound(
    overdraft: Option<wire::Overdraft>,
    currency: Currency,
    known: &Currencies,
) -> Decoded<Overdraft> {
    use wire::overdraft::Bound;
    match overdraft.and_then(|overdraft| overdraft.bound) {
        None | Some(Bound::Unbounded(false)) => Ok(Overdraft::Limit(Units::ZERO)),
        Some(Bound::Unbounded(true)) => Ok(Overdraft::Unbounded),
        Some(Bound::Limit(limit)) => {
            let limit = Money::decode(&limit, known).at("limit")?;
            if limit.currency != currency {
                let mut problem = invalid(format!("must be in {currency}"));
                problem.reason = Reason::CurrencyMismatch;
                return Err(problem).at("limit.currency");
            }
            if limit.units.get() < 0 {
                return Err(invalid("must not be negative")).at("limit.amount");
            }
            Ok(Overdraft::Limit(limit.units))
        }
    }
}

/// The controls of one source, with the currency that they have to be in, by the field.
pub(super) fn controls(
    wire: wire::Controls,
    known: &Currencies,
) -> Decoded<(Controls, Vec<(String, Currency)>)> {
    if wire.version <= 0 {
        return Err(invalid("must be above zero")).at("version");
    }
    if wire.blocks.len() > BLOCKS_MAX {
        return Err(invalid(format!("must be at most {BLOCKS_MAX}"))).at("blocks");
    }
    if wire.limits.len() > LIMITS_MAX {
        return Err(invalid(format!("must be at most {LIMITS_MAX}"))).at("limits");
    }
    let mut currencies = Vec::new();
    let mut blocks = Vec::with_capacity(wire.blocks.len());
    for (index, wire) in wire.blocks.into_iter().enumerate() {
        let (block, currency) = block(wire, known).at_index("blocks", index)?;
        blocks.push(block);
        let field = format!("blocks[{index}].amount.currency");
        currencies.extend(currency.map(|currency| (field, currency)));
    }
    let mut limits: Vec<Limit> = Vec::with_capacity(wire.limits.len());
    for (index, wire) in wire.limits.into_iter().enumerate() {
        let (limit, currency) = limit(wire, known).at_index("limits", index)?;
        if limits.iter().any(|other| other.id == limit.id) {
            return Err(invalid("must not be given twice")).at("id").at_index("limits", index);
        }
        limits.push(limit);
        let field = format!("limits[{index}].max_amount.currency");
        currencies.extend(currency.map(|currency| (field, currency)));
    }
    let source = field::kebab(wire.source, 32).at("source")?;
    if source == AUDITOR {
        return Err(invalid("must be another one: this is the auditor's own")).at("source");
    }
    let timeline = match wire.timeline.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| invalid("must be a UUID")).at("timeline")?),
    };
    Ok((Controls { source, version: wire.version, blocks, limits, timeline }, currencies))
}

/// Whether all amounts are in the currency of their account.
pub(super) fn in_currency(found: &[(String, Currency)], expected: Currency) -> Decoded<()> {
    match found.iter().find(|(_, currency)| *currency != expected) {
        None => Ok(()),
        Some((field, currency)) => {
            let mut problem =
                invalid(format!("must be in {expected}, the currency of the account"));
            problem.reason = Reason::CurrencyMismatch;
            let problem = problem.figure("currency", currency).figure("expected", expected);
            Err(Box::new(problem)).at(field)
        }
    }
}

fn effect(effect: wire::block::Effect) -> Decoded<Effect> {
    match effect {
        wire::block::Effect::Debit => Ok(Effect::Debit),
        wire::block::Effect::Credit => Ok(Effect::Credit),
        wire::block::Effect::All => Ok(Effect::All),
        wire::block::Effect::Unspecified => Err(invalid("must be DEBIT, CREDIT or ALL")),
    }
}

fn block(wire: wire::Block, known: &Currencies) -> Decoded<(Block, Option<Currency>)> {
    let effect = effect(wire.effect()).at("effect")?;
    let amount = wire.amount.as_ref().map(|amount| Money::decode_positive(amount, known));
    let amount = amount.transpose().at("amount")?;
    if amount.is_some() && effect != Effect::Debit {
        return Err(invalid("may be given with DEBIT only")).at("amount");
    }
    let start = wire.start_time.map(Timestamp::decode).transpose().at("start_time")?;
    let end = wire.end_time.map(Timestamp::decode).transpose().at("end_time")?;
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        return Err(invalid("must be later than start_time")).at("end_time");
    }
    let block = Block {
        effect,
        amount: amount.map(|money| money.units),
        start,
        end,
        reason_code: field::code(wire.reason_code).at("reason_code")?,
        honour_holds: wire.honour_holds,
    };
    Ok((block, amount.map(|money| money.currency)))
}

fn limit(wire: wire::Limit, known: &Currencies) -> Decoded<(Limit, Option<Currency>)> {
    let effect = effect(wire.effect()).at("effect")?;
    let window = window(&wire)?;
    let max = wire.max_amount.as_ref().map(|amount| Money::decode_positive(amount, known));
    let max = max.transpose().at("max_amount")?;
    let max_count = match wire.max_count {
        0 => None,
        1.. if window == Window::Transaction => {
            return Err(invalid("must not be given with WINDOW_TRANSACTION")).at("max_count");
        }
        1.. => Some(wire.max_count),
        _ => return Err(invalid("must not be negative")).at("max_count"),
    };
    if max.is_none() && max_count.is_none() {
        return Err(invalid("must be given, or max_count")).at("max_amount");
    }
    if wire.types.len() > TYPES_MAX {
        return Err(invalid(format!("must be at most {TYPES_MAX}"))).at("types");
    }
    let scope = match wire.scope() {
        wire::limit::Scope::Customer => Scope::Customer,
        wire::limit::Scope::Account | wire::limit::Scope::Unspecified => Scope::Account,
    };
    let types = wire.types.into_iter().enumerate();
    let types = types.map(|(index, kind)| field::code(kind).at_index("types", index));
    let limit = Limit {
        id: field::kebab(wire.id, 32).at("id")?,
        effect,
        window,
        max_amount: max.map(|money| money.units),
        max_count,
        types: types.collect::<Decoded<_>>()?,
        scope,
    };
    Ok((limit, max.map(|money| money.currency)))
}

fn window(wire: &wire::Limit) -> Decoded<Window> {
    use wire::limit::Window as Wire;
    let length = wire.rolling_length.as_ref();
    let window = match wire.window() {
        Wire::Transaction => Window::Transaction,
        Wire::Day => Window::Day,
        Wire::Month => Window::Month,
        Wire::Rolling => {
            let micros = |length: &prost_types::Duration| {
                let seconds = length.seconds.checked_mul(1_000_000)?;
                let nanos = Some(i64::from(length.nanos)).filter(|nanos| nanos % 1_000 == 0)?;
                seconds.checked_add(nanos / 1_000)
            };
            let window = length.and_then(micros).and_then(rolling_length);
            return window
                .ok_or_else(|| invalid("must be 1 minute to 366 days"))
                .at("rolling_length");
        }
        Wire::Unspecified => {
            return Err(invalid("must be TRANSACTION, DAY, MONTH or ROLLING")).at("window");
        }
    };
    if length.is_some() {
        return Err(invalid("may be given with ROLLING only")).at("rolling_length");
    }
    Ok(window)
}
