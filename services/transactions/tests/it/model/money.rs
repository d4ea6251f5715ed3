//! Amounts as whole numbers of the smallest unit.

use strongroom_proto::common::v1::Money;

/// One more than the largest amount.
const LIMIT: i128 = 10_i128.pow(38);

/// The currencies of the test; TOKEN is registered by the tenant, as POINTS is, of which there are
/// too many.
pub(super) const CURRENCIES: [&str; 3] = ["EUR", "JPY", "TOKEN"];

fn decimals(currency: &str) -> usize {
    match currency {
        "EUR" => 2,
        "JPY" | "POINTS" => 0,
        "TOKEN" => 8,
        other => panic!("no test has {other}"),
    }
}

pub(super) fn fits(units: i128) -> bool {
    units < LIMIT
}

pub(super) fn major(units: i128, currency: &str) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let width = decimals(currency);
    let digits = format!("{:0>least$}", units.unsigned_abs(), least = width + 1);
    let (whole, part) = digits.split_at(digits.len() - width);
    if width == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

pub(super) fn money(units: i128, currency: &str) -> Money {
    Money { currency: currency.to_owned(), amount: major(units, currency) }
}

/// The units of an amount; nothing where it has too many decimals.
pub(super) fn units(money: &Money) -> Option<i128> {
    let (whole, part) = money.amount.split_once('.').unwrap_or((&money.amount, ""));
    let width = decimals(&money.currency);
    let part = part.trim_end_matches('0');
    (part.len() <= width).then(|| format!("{whole}{part:0<width$}").parse().unwrap())
}

/// The units of an amount that is known to fit, or of one that is absent.
pub(super) fn known(money: Option<&Money>) -> i128 {
    money.map_or(0, |money| units(money).unwrap())
}
