//! What was posted to an account on one day.

use shared::money::Units;
use shared::time::Day;

/// The sums of what has one booking date and one value date on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayTotal {
    pub(crate) booking: Day,
    pub(crate) value: Day,
    pub(crate) debits: Units,
    pub(crate) credits: Units,
}
