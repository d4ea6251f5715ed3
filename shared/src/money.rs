//! Exact decimal money: an `i128` of minor units and a currency that knows its decimals.
//!
//! There is no float and no rounding anywhere: what does not fit is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::data_types::PgNumeric;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use strongroom_proto::common::v1::Money as WireMoney;

use crate::field::{At, Decoded, invalid};
use crate::problem::{Problem, Reason};

/// One more than the largest amount: 38 digits, as in `NUMERIC(38,0)`.
const LIMIT: i128 = 10_i128.pow(38);
const CODE_MAX: usize = 12;

/// A currency: its code and how many decimals its amounts have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; CODE_MAX],
    length: u8,
    decimals: u8,
}

impl Currency {
    /// A currency of ISO 4217, or `None` where there is no such code.
    pub fn iso(code: &str) -> Option<Self> {
        let found = iso_currency::Currency::from_code(code)?;
        Self::new(code, u8::try_from(found.exponent().unwrap_or(0)).ok()?)
    }

    /// The English name of a currency of ISO 4217.
    pub fn iso_name(code: &str) -> Option<String> {
        iso_currency::Currency::from_code(code).map(|found| found.name().to_owned())
    }

    /// A currency with a code of 3-12 upper case letters and digits, and 0-18 decimals.
    pub fn new(code: &str, decimals: u8) -> Option<Self> {
        let fits = (3..=CODE_MAX).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && decimals <= 18;
        fits.then(|| {
            let mut bytes = [0; CODE_MAX];
            bytes[..code.len()].copy_from_slice(code.as_bytes());
            Self { code: bytes, length: u8::try_from(code.len()).unwrap_or(0), decimals }
        })
    }

    /// The code, such as "EUR".
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code[..usize::from(self.length)]).unwrap_or_default()
    }

    /// How many decimals its amounts have.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// Reads the currency of a request field; `CURRENCY_UNKNOWN` where there is none.
    pub fn decode(code: &str, known: &Currencies) -> Decoded<Self> {
        known.find(code).ok_or_else(|| {
            let shown: String = code.chars().take(CODE_MAX).collect();
            let sentence = "must be a currency of ISO 4217, or one that the tenant has registered";
            let problem = Problem::new(Reason::CurrencyUnknown, sentence).in_field("");
            Box::new(problem.figure("currency", shown))
        })
    }
}

/// The currencies that a request may name: those of ISO 4217, and what a tenant has registered.
#[derive(Debug, Clone, Default)]
pub struct Currencies(Arc<BTreeMap<String, Currency>>);

impl Currencies {
    /// Those of ISO 4217 alone.
    pub fn iso() -> Self {
        Self::default()
    }

    /// Those of ISO 4217 and these.
    pub fn with(registered: impl IntoIterator<Item = Currency>) -> Self {
        let by_code = |currency: Currency| (currency.code().to_owned(), currency);
        Self(Arc::new(registered.into_iter().map(by_code).collect()))
    }

    /// The currency of a code. A code of ISO 4217 never means anything else.
    pub fn find(&self, code: &str) -> Option<Currency> {
        Currency::iso(code).or_else(|| self.0.get(code).copied())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Minor units of some currency: an integer of at most 38 digits.
#[derive(
    Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = sql_types::Numeric)]
pub struct Units(i128);

impl Units {
    /// None.
    pub const ZERO: Self = Self(0);

    /// This many minor units, or `None` above 38 digits.
    pub const fn new(units: i128) -> Option<Self> {
        if units.unsigned_abs() < LIMIT.unsigned_abs() { Some(Self(units)) } else { None }
    }

    /// The number of minor units.
    pub const fn get(self) -> i128 {
        self.0
    }

    /// The sum, or `None` above 38 digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// The difference, or `None` above 38 digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::new)
    }

    /// The same amount in major units: `1250` of a currency with two decimals is "12.50".
    pub fn major(self, currency: Currency) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let scale = 10_u128.pow(u32::from(currency.decimals));
        let (whole, part) = (self.0.unsigned_abs() / scale, self.0.unsigned_abs() % scale);
        match usize::from(currency.decimals) {
            0 => format!("{sign}{whole}"),
            width => format!("{sign}{whole}.{part:0width$}"),
        }
    }

    /// The wire form, with the currency's decimals.
    pub fn encode(self, currency: Currency) -> WireMoney {
        WireMoney { currency: currency.code().to_owned(), amount: self.major(currency) }
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let units = text.parse().ok().and_then(Self::new);
        units.ok_or_else(|| de::Error::custom("no amount of at most 38 digits"))
    }
}

impl ToSql<sql_types::Numeric, Pg> for Units {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let mut digits = Vec::with_capacity(10);
        let mut rest = self.0.unsigned_abs();
        while rest > 0 {
            digits.push(i16::try_from(rest % 10_000)?);
            rest /= 10_000;
        }
        let weight = i16::try_from(digits.len())? - 1;
        digits.reverse();
        let numeric = match self.0 < 0 {
            false => PgNumeric::Positive { weight: weight.max(0), scale: 0, digits },
            true => PgNumeric::Negative { weight, scale: 0, digits },
        };
        ToSql::<sql_types::Numeric, Pg>::to_sql(&numeric, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Numeric, Pg> for Units {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let (sign, weight, digits) = match FromSql::<sql_types::Numeric, Pg>::from_sql(bytes)? {
            PgNumeric::Positive { weight, digits, .. } => (1, weight, digits),
            PgNumeric::Negative { weight, digits, .. } => (-1, weight, digits),
            PgNumeric::NaN => return Err("NaN is no amount".into()),
        };
        let places = usize::try_from(i32::from(weight) + 1)?;
        if digits.len() > places {
            return Err("minor units have no fraction".into());
        }
        let mut units = 0_i128;
        // Postgres leaves out trailing zero digits.
        for place in 0..places {
            let digit = digits.get(place).copied().unwrap_or(0);
            units = units
                .checked_mul(10_000)
                .and_then(|units| units.checked_add(i128::from(digit)))
                .ok_or("above 38 digits")?;
        }
        Self::new(sign * units).ok_or_else(|| "above 38 digits".into())
    }
}

/// An amount of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Money {
    /// The currency.
    pub currency: Currency,
    /// How much of it.
    pub units: Units,
}

impl Money {
    /// Reads a wire amount: `currency` and `amount` are its field paths.
    pub fn decode(wire: &WireMoney, known: &Currencies) -> Decoded<Self> {
        let currency = Currency::decode(&wire.currency, known).at("currency")?;
        let units = parse_major(&wire.amount, currency).at("amount")?;
        Ok(Self { currency, units })
    }

    /// Reads a wire amount that has to be above zero.
    pub fn decode_positive(wire: &WireMoney, known: &Currencies) -> Decoded<Self> {
        let money = Self::decode(wire, known)?;
        if money.units.get() <= 0 {
            return Err(invalid("must be above zero")).at("amount");
        }
        Ok(money)
    }

    /// The wire form.
    pub fn encode(self) -> WireMoney {
        self.units.encode(self.currency)
    }
}

/// `-?[0-9]+(\.[0-9]+)?`, and no more decimals than the currency has.
fn parse_major(text: &str, currency: Currency) -> Decoded<Units> {
    let malformed = || invalid("must be a decimal number such as \"12.50\"");
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || (unsigned.contains('.') && !digits(part)) {
        return Err(malformed());
    }
    let decimals = usize::from(currency.decimals());
    let part = part.trim_end_matches('0');
    if part.len() > decimals {
        let sentence = format!("must have at most {decimals} decimals in {currency}");
        let problem = Problem::new(Reason::PrecisionExceeded, sentence)
            .in_field("")
            .figure("currency", currency)
            .figure("decimals", decimals);
        return Err(Box::new(problem));
    }
    let overflow = || {
        let sentence = "must have at most 38 digits";
        Box::new(Problem::new(Reason::AmountOverflow, sentence).in_field(""))
    };
    let whole = whole.trim_start_matches('0');
    let sign = if text.starts_with('-') { -1 } else { 1 };
    // Longer than any amount can be: do not build a string of what a caller sent.
    if whole.len() > 38 {
        return Err(overflow());
    }
    let units: i128 = format!("0{whole}{part:0<decimals$}").parse().map_err(|_| overflow())?;
    Units::new(sign * units).ok_or_else(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eur() -> Currency {
        Currency::iso("EUR").unwrap()
    }

    fn reason(text: &str) -> Reason {
        parse_major(text, eur()).unwrap_err().reason
    }

    #[test]
    fn bad_amounts_have_their_reasons() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1e3", " 1", "1 ", "1,000", "٣", "--1"] {
            assert_eq!(reason(text), Reason::FieldInvalid, "{text:?}");
        }
        assert_eq!(reason("0.001"), Reason::PrecisionExceeded);
        assert_eq!(reason(&"9".repeat(37)), Reason::AmountOverflow);
        assert_eq!(reason(&"9".repeat(100_000)), Reason::AmountOverflow);
    }

    #[test]
    fn spellings_of_one_amount_are_one_amount() {
        for text in ["12.5", "12.50", "12.500", "0012.50"] {
            assert_eq!(parse_major(text, eur()).unwrap().get(), 1250, "{text}");
        }
        let yen = Currency::iso("JPY").unwrap();
        assert_eq!(parse_major("7.0", yen).unwrap().major(yen), "7");
        assert_eq!(parse_major("-0.07", eur()).unwrap().major(eur()), "-0.07");
    }

    #[test]
    fn currencies_have_their_decimals() {
        let decimals = |code| Currency::iso(code).map(Currency::decimals);
        assert_eq!(decimals("EUR"), Some(2));
        assert_eq!(decimals("JPY"), Some(0));
        assert_eq!(decimals("KWD"), Some(3));
        assert_eq!(decimals("eur"), None);
        assert_eq!(decimals("ZZZ"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units in -(LIMIT - 1)..LIMIT, decimals in 0_u8..=18) {
            let currency = Currency::new("TEST", decimals).unwrap();
            let units = Units::new(units).unwrap();
            prop_assert_eq!(parse_major(&units.major(currency), currency).unwrap(), units);
        }
    }
}
