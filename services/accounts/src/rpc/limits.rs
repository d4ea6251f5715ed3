//! Limits, as the wire has them and as they are stored.

use prost_types::Duration;
use shared::field::{self, At as _, Decoded, invalid};
use shared::money::{Currencies, Currency, Money};
use strongroom_proto::transactions::v1 as wire;
use wire::limit::{Scope, Window as WireWindow};

use super::create_account::in_currency;
use crate::domain::{Direction, LIMITS_MAX, Limit, TYPES_MAX, Window};

const ID_MAX: usize = 32;

/// Reads limits of an account of this currency, each of another id. The rules are the ledger's.
pub(super) fn decode(limits: Vec<wire::Limit>, currency: Currency) -> Decoded<Vec<Limit>> {
    if limits.len() > LIMITS_MAX {
        return Err(invalid(format!("must be at most {LIMITS_MAX}"))).at("limits");
    }
    let mut decoded: Vec<Limit> = Vec::with_capacity(limits.len());
    for (index, wire) in limits.into_iter().enumerate() {
        let limit = decode_one(wire, currency).at_index("limits", index)?;
        if decoded.iter().any(|other| other.id == limit.id) {
            return Err(invalid("is given before")).at("id").at_index("limits", index);
        }
        decoded.push(limit);
    }
    Ok(decoded)
}

fn decode_one(limit: wire::Limit, currency: Currency) -> Decoded<Limit> {
    let direction = Direction::from_number(limit.effect)
        .ok_or_else(|| invalid("must be EFFECT_DEBIT, EFFECT_CREDIT or EFFECT_ALL"))
        .at("effect")?;
    let window = window(&limit)?;
    let max_amount = limit.max_amount.as_ref().map(|money| {
        let money = Money::decode_positive(money, &Currencies::iso())?;
        in_currency(money, currency)
    });
    let max_amount = max_amount.transpose().at("max_amount")?;
    let max_count = match limit.max_count {
        0 => None,
        1.. if window == Window::Transaction => {
            return Err(invalid("must not be given with WINDOW_TRANSACTION")).at("max_count");
        }
        count @ 1.. => Some(count),
        _ => return Err(invalid("must not be negative")).at("max_count"),
    };
    if max_amount.is_none() && max_count.is_none() {
        return Err(invalid("must be given, or max_count")).at("max_amount");
    }
    if limit.types.len() > TYPES_MAX {
        return Err(invalid(format!("must be at most {TYPES_MAX}"))).at("types");
    }
    let of_customer = limit.scope() == Scope::Customer;
    let types = limit.types.into_iter().enumerate();
    let types = types.map(|(index, kind)| field::code(kind).at_index("types", index));
    Ok(Limit {
        id: field::kebab(limit.id, ID_MAX).at("id")?,
        direction,
        window,
        max_amount,
        max_count,
        types: types.collect::<Decoded<_>>()?,
        of_customer,
    })
}

fn window(limit: &wire::Limit) -> Decoded<Window> {
    let length = limit.rolling_length.as_ref();
    let window = match limit.window() {
        WireWindow::Transaction => Window::Transaction,
        WireWindow::Day => Window::Day,
        WireWindow::Month => Window::Month,
        WireWindow::Rolling => {
            let window = length.and_then(micros).and_then(Window::rolling);
            return window
                .ok_or_else(|| invalid("must be 1 minute to 366 days"))
                .at("rolling_length");
        }
        WireWindow::Unspecified => {
            return Err(invalid("must be TRANSACTION, DAY, MONTH or ROLLING")).at("window");
        }
    };
    if length.is_some() {
        return Err(invalid("may be given with ROLLING only")).at("rolling_length");
    }
    Ok(window)
}

fn micros(length: &Duration) -> Option<i64> {
    let seconds = length.seconds.checked_mul(1_000_000)?;
    let nanos = Some(i64::from(length.nanos)).filter(|nanos| nanos % 1_000 == 0)?;
    seconds.checked_add(nanos / 1_000)
}

/// A limit of an account of this currency.
pub(crate) fn encode(limit: &Limit, currency: Currency) -> wire::Limit {
    let (window, length) = match limit.window {
        Window::Transaction => (WireWindow::Transaction, None),
        Window::Day => (WireWindow::Day, None),
        Window::Month => (WireWindow::Month, None),
        Window::Rolling(micros) => (WireWindow::Rolling, Some(micros)),
    };
    let scope = if limit.of_customer { Scope::Customer } else { Scope::Account };
    wire::Limit {
        id: limit.id.clone(),
        effect: limit.direction.number().into(),
        window: window.into(),
        rolling_length: length.map(duration),
        max_amount: limit.max_amount.map(|units| units.encode(currency)),
        max_count: limit.max_count.unwrap_or_default(),
        types: limit.types.clone(),
        scope: scope.into(),
    }
}

fn duration(micros: i64) -> Duration {
    let nanos = i32::try_from(micros % 1_000_000 * 1_000).unwrap_or_default();
    Duration { seconds: micros / 1_000_000, nanos }
}
