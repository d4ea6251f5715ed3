//! Points in time and civil days, as the contracts and Postgres have them.

use std::fmt;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::data_types::{PgDate, PgTimestamp};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::field::{Decoded, invalid};

/// Microseconds from the Unix epoch to Postgres' own, 2000-01-01.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
/// 0001-01-01 and 9999-12-31, the range of `google.protobuf.Timestamp`, in seconds.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A point in time in microseconds since the Unix epoch, as exact as `timestamptz`.
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    AsExpression,
    FromSqlRow,
)]
#[diesel(sql_type = sql_types::Timestamptz)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time this many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The time a microsecond later.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The time this much later; the last one where there is none.
    #[must_use]
    pub fn plus(self, by: std::time::Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by))
    }

    /// Reads a wire time. Finer than a microsecond is refused, because it could not be given back.
    pub fn decode(wire: prost_types::Timestamp) -> Decoded<Self> {
        let nanos = i64::from(wire.nanos);
        if !SECONDS.contains(&wire.seconds) || !(0..1_000_000_000).contains(&nanos) {
            return Err(invalid("must be a time from year 1 to 9999"));
        }
        if nanos % 1_000 != 0 {
            return Err(invalid("must not be finer than a microsecond"));
        }
        Ok(Self(wire.seconds * 1_000_000 + nanos / 1_000))
    }

    /// The wire time.
    pub fn encode(self) -> prost_types::Timestamp {
        let nanos = self.0.rem_euclid(1_000_000) * 1_000;
        prost_types::Timestamp {
            seconds: self.0.div_euclid(1_000_000),
            nanos: i32::try_from(nanos).unwrap_or_default(),
        }
    }

    /// The civil day on which this lies in a time zone.
    pub fn day_in(self, zone: &TimeZone) -> Day {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        Day(zone.to_datetime(instant).date())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

impl ToSql<sql_types::Timestamptz, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let value = PgTimestamp(self.0 - POSTGRES_EPOCH_US);
        ToSql::<sql_types::Timestamptz, Pg>::to_sql(&value, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Timestamptz, Pg> for Timestamp {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(value) = FromSql::<sql_types::Timestamptz, Pg>::from_sql(bytes)?;
        Ok(Self(value + POSTGRES_EPOCH_US))
    }
}

/// A civil day, without a time zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Date)]
pub struct Day(civil::Date);

impl Day {
    /// When the day begins in a time zone.
    pub fn start_in(self, zone: &TimeZone) -> Timestamp {
        let begin = self.0.to_zoned(zone.clone());
        let instant = begin.map_or(jiff::Timestamp::MIN, |zoned| zoned.timestamp());
        Timestamp(instant.as_microsecond())
    }

    /// Reads a day as ISO 8601 has it: `2026-11-22`.
    pub fn parse(text: &str) -> Decoded<Self> {
        let day = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        day.map(Self).ok_or_else(|| invalid("must be a day as YYYY-MM-DD"))
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// The last day of its month.
    #[must_use]
    pub fn last_of_month(self) -> Self {
        Self(self.0.last_of_month())
    }

    /// The day after it; itself at the end of time.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.tomorrow().unwrap_or(self.0))
    }

    /// The day before it; itself at the begin of time.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.yesterday().unwrap_or(self.0))
    }

    /// How many days it is after another one.
    pub fn days_since(self, earlier: Self) -> i32 {
        earlier.0.until(self.0).map_or(0, |span| span.get_days())
    }
}

/// As it is displayed.
impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

const POSTGRES_EPOCH_DAY: civil::Date = civil::date(2000, 1, 1);

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// ISO 8601: `2026-11-22`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql<sql_types::Date, Pg> for Day {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let days = POSTGRES_EPOCH_DAY.until(self.0)?.get_days();
        ToSql::<sql_types::Date, Pg>::to_sql(&PgDate(days), &mut out.reborrow())
    }
}

impl FromSql<sql_types::Date, Pg> for Day {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let PgDate(days) = FromSql::<sql_types::Date, Pg>::from_sql(bytes)?;
        Ok(Self(POSTGRES_EPOCH_DAY.checked_add(jiff::Span::new().try_days(days)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_than_a_microsecond_is_refused() {
        let wire = prost_types::Timestamp { seconds: 1, nanos: 1_500 };
        assert!(Timestamp::decode(wire).is_err());
    }

    #[test]
    fn times_before_the_epoch_come_back_as_they_were() {
        for micros in [-1, -1_000_001, 0, 1, 1_795_338_000_123_456] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::decode(time.encode()).unwrap(), time);
        }
    }

    #[test]
    fn the_day_is_the_tenants() {
        let zone = TimeZone::get("Pacific/Auckland").unwrap();
        let noon = Timestamp::decode(prost_types::Timestamp { seconds: 1_795_348_800, nanos: 0 });
        let day = noon.unwrap().day_in(&zone);
        assert_eq!(day.to_string(), "2026-11-23");
        assert_eq!(day.start_in(&zone).to_string(), "2026-11-22T11:00:00Z");
        assert_eq!(day.first_of_month().to_string(), "2026-11-01");
    }

    #[test]
    fn a_day_has_one_spelling() {
        let day = Day::parse("2024-02-28").unwrap();
        assert_eq!(day.next().to_string(), "2024-02-29");
        assert_eq!(day.last_of_month().days_since(day), 1);
        for text in ["", "2024-2-28", "2024-02-30", "20240228", "2024-02-28 ", "2024-02-28T00:00"] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
    }
}
