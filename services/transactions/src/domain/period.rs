//! Periods: months of booking dates, which are closed in their order.

use shared::time::Day;

/// Whether a month can be booked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PeriodState {
    Open,
    SoftClosed,
    Closed,
}

impl PeriodState {
    /// The word for it in a refusal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::SoftClosed => "SOFT_CLOSED",
            Self::Closed => "CLOSED",
        }
    }
}

/// How far the books of a tenant are closed: always up to the end of a month, and softly at least
/// as far as for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Closings {
    /// The last day that is closed for good.
    pub(crate) closed_through: Option<Day>,
    /// The last day that is closed at least softly.
    pub(crate) soft_closed_through: Option<Day>,
}

impl Closings {
    /// Whether a day can be booked on.
    pub(crate) fn state(&self, day: Day) -> PeriodState {
        let within = |through: Option<Day>| through.is_some_and(|last| day <= last);
        match (within(self.closed_through), within(self.soft_closed_through)) {
            (true, _) => PeriodState::Closed,
            (false, true) => PeriodState::SoftClosed,
            (false, false) => PeriodState::Open,
        }
    }

    /// The first day that can be booked on, by those who may book where it is closed softly, or by
    /// everybody. `None` where nothing is closed.
    pub(crate) fn first_open(&self, softly_too: bool) -> Option<Day> {
        let through = if softly_too { self.closed_through } else { self.soft_closed_through };
        through.map(Day::next)
    }
}

/// What to do with a posting whose booking date is in a closed period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Late {
    #[default]
    Refuse,
    NextOpenPeriod,
}

impl Late {
    /// Whether it is what happens anyway.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn what_is_closed_is_closed_to_its_last_day() {
        let closings = Closings {
            closed_through: Some(day("2026-08-31")),
            soft_closed_through: Some(day("2026-09-30")),
        };
        assert_eq!(closings.state(day("2026-08-31")), PeriodState::Closed);
        assert_eq!(closings.state(day("2026-09-01")), PeriodState::SoftClosed);
        assert_eq!(closings.state(day("2026-10-01")), PeriodState::Open);
        assert_eq!(closings.first_open(true), Some(day("2026-09-01")));
        assert_eq!(closings.first_open(false), Some(day("2026-10-01")));
        assert_eq!(Closings::default().state(day("0001-01-01")), PeriodState::Open);
    }
}
