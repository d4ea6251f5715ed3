//! Times as microseconds since the Unix epoch, and the civil days of the tenant.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;

pub(super) fn wire_time(micros: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(SECOND) * 1_000).unwrap();
    prost_types::Timestamp { seconds: micros.div_euclid(SECOND), nanos }
}

pub(super) fn micros(time: &prost_types::Timestamp) -> i64 {
    time.seconds * SECOND + i64::from(time.nanos) / 1_000
}

/// That of every tenant of a test.
fn zoned(micros: i64) -> Zoned {
    let zone = TimeZone::get("Europe/Zurich").unwrap();
    Timestamp::from_microsecond(micros).unwrap().to_zoned(zone)
}

/// The civil day of a time, as YYYY-MM-DD.
pub(super) fn day(micros: i64) -> String {
    zoned(micros).date().to_string()
}

/// When the civil day of a time began.
pub(super) fn day_begin(micros: i64) -> i64 {
    zoned(micros).start_of_day().unwrap().timestamp().as_microsecond()
}

/// When its month began.
pub(super) fn month_begin(micros: i64) -> i64 {
    let first = zoned(micros).first_of_month().unwrap();
    first.start_of_day().unwrap().timestamp().as_microsecond()
}
