//! Decoding that several RPCs share.

use shared::field::{self, At as _, Decoded, invalid};
use shared::money::{Currency, Money};
use shared::problem::Reason;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;

use crate::domain::{
    AccountClass, AccountId, BLOCKS_MAX, Block, Controls, Direction, Effect, NewAccount, Overdraft,
};

pub(super) fn direction(direction: wire::Direction) -> Decoded<Direction> {
    match direction {
        wire::Direction::Debit => Ok(Direction::Debit),
        wire::Direction::Credit => Ok(Direction::Credit),
        wire::Direction::Unspecified => Err(invalid("must be DEBIT or CREDIT")),
    }
}

/// An account from the fields that it has here and in accounts alike.
pub(crate) fn account(
    id: AccountId,
    currency: &str,
    class: wire::AccountClass,
    gl_code: String,
    overdraft: Option<wire::Overdraft>,
    controls: Vec<Controls>,
) -> Decoded<NewAccount> {
    let currency = Currency::decode(currency).at("currency")?;
    Ok(NewAccount {
        id,
        currency,
        class: account_class(class).at("class")?,
        gl_code: field::text(gl_code, 0, 32).at("gl_code")?,
        overdraft: bound(overdraft, currency).at("overdraft")?,
        controls,
    })
}

fn account_class(class: wire::AccountClass) -> Decoded<AccountClass> {
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

fn bound(overdraft: Option<wire::Overdraft>, currency: Currency) -> Decoded<Overdraft> {
    use wire::overdraft::Bound;
    match overdraft.and_then(|overdraft| overdraft.bound) {
        None | Some(Bound::Unbounded(false)) => Ok(Overdraft::Limit(shared::money::Units::ZERO)),
        Some(Bound::Unbounded(true)) => Ok(Overdraft::Unbounded),
        Some(Bound::Limit(limit)) => {
            let limit = Money::decode(&limit).at("limit")?;
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

pub(super) fn controls(wire: wire::Controls) -> Decoded<Controls> {
    if wire.version <= 0 {
        return Err(invalid("must be above zero")).at("version");
    }
    if wire.blocks.len() > BLOCKS_MAX {
        return Err(invalid(format!("must be at most {BLOCKS_MAX}"))).at("blocks");
    }
    let blocks = wire.blocks.into_iter().enumerate();
    Ok(Controls {
        source: field::kebab(wire.source, 32).at("source")?,
        version: wire.version,
        blocks: blocks
            .map(|(index, wire)| block(wire).at_index("blocks", index))
            .collect::<Decoded<_>>()?,
    })
}

/// The currencies of the amounts, by the index of their block.
pub(super) fn currencies(wire: &wire::Controls) -> Vec<(usize, String)> {
    let blocks = wire.blocks.iter().enumerate();
    blocks
        .filter_map(|(index, block)| Some((index, block.amount.as_ref()?.currency.clone())))
        .collect()
}

/// Whether all amounts are in the currency of their account.
pub(super) fn in_currency(found: &[(usize, String)], expected: &str) -> Decoded<()> {
    match found.iter().find(|(_, currency)| currency != expected) {
        None => Ok(()),
        Some((index, currency)) => {
            let mut problem =
                invalid(format!("must be in {expected}, the currency of the account"));
            problem.reason = Reason::CurrencyMismatch;
            let problem = problem.figure("currency", currency).figure("expected", expected);
            Err(Box::new(problem)).at("amount.currency").at_index("blocks", *index)
        }
    }
}

fn block(wire: wire::Block) -> Decoded<Block> {
    use wire::block::Effect as WireEffect;
    let effect = match wire.effect() {
        WireEffect::Debit => Effect::Debit,
        WireEffect::Credit => Effect::Credit,
        WireEffect::All => Effect::All,
        WireEffect::Unspecified => {
            return Err(invalid("must be DEBIT, CREDIT or ALL")).at("effect");
        }
    };
    let amount = wire.amount.as_ref().map(Money::decode_positive).transpose().at("amount")?;
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
    let reason_code = field::code(wire.reason_code).at("reason_code")?;
    Ok(Block { effect, amount: amount.map(|money| money.units), start, end, reason_code })
}
