//! How months are closed and opened again: in their order, so that two days say all about it.

use serde::{Deserialize, Serialize};
use shared::field::{Decoded, invalid};
use shared::ids::TenantId;
use shared::time::{Day, Timestamp};

use super::{Closings, PeriodState};

const COLLECTION: &str = "periods/";

/// A month of booking dates, by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Month(Day);

impl Month {
    /// The month that a day is in.
    pub(crate) fn of(day: Day) -> Self {
        Self(day.first_of_month())
    }

    /// Reads `periods/YYYY-MM`.
    pub(crate) fn parse_name(name: &str) -> Decoded<Self> {
        let first = name.strip_prefix(COLLECTION).map(|month| format!("{month}-01"));
        let first = first.and_then(|first| Day::parse(&first).ok());
        first.map(Self).ok_or_else(|| invalid("must be periods/YYYY-MM"))
    }

    /// The resource name.
    pub(crate) fn name(self) -> String {
        let mut month = self.0.to_string();
        month.truncate("YYYY-MM".len());
        format!("{COLLECTION}{month}")
    }

    pub(crate) fn first(self) -> Day {
        self.0
    }

    pub(crate) fn last(self) -> Day {
        self.0.last_of_month()
    }

    pub(crate) fn next(self) -> Self {
        Self(self.last().next())
    }

    /// The month before it; itself at the begin of time.
    pub(crate) fn previous(self) -> Self {
        Self::of(self.0.previous())
    }
}

/// What is done to a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    SoftClose,
    Close,
    Reopen,
}

impl Step {
    /// The operation by which a request id of it is found again.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::SoftClose => "soft-close-period",
            Self::Close => "close-period",
            Self::Reopen => "reopen-period",
        }
    }

    /// The states in which a month has to be for it.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::SoftClose => "OPEN",
            Self::Close => "OPEN, SOFT_CLOSED",
            Self::Reopen => "SOFT_CLOSED, CLOSED",
        }
    }

    /// The state that it leaves the month in.
    pub(crate) fn state(self) -> PeriodState {
        match self {
            Self::SoftClose => PeriodState::SoftClosed,
            Self::Close => PeriodState::Closed,
            Self::Reopen => PeriodState::Open,
        }
    }

    /// The kind of the change in the log.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::SoftClose => "period.softClosed",
            Self::Close => "period.closed",
            Self::Reopen => "period.reopened",
        }
    }
}

/// Why a step is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotClosed {
    /// The month has not ended.
    NotEnded,
    /// The month is in this state, or is not the next one.
    OutOfOrder {
        state: PeriodState,
        /// The month with which this step can be taken.
        next: Option<Month>,
    },
}

impl Closings {
    /// Takes a step, and gives what it leaves. Months are closed for good one after the other, but
    /// the first one brings all earlier ones with it; only the one that was closed last is opened.
    pub(crate) fn take(self, step: Step, month: Month, today: Day) -> Result<Self, NotClosed> {
        if step != Step::Reopen && month.last() >= today {
            return Err(NotClosed::NotEnded);
        }
        let state = self.state(month.first());
        let (last, soft) = (Some(month.last()), self.soft_closed_through);
        let next = self.next(step);
        let is_next = match step {
            // It brings all months in between with it.
            Step::SoftClose => state == PeriodState::Open,
            Step::Close => next.is_none_or(|next| next == month),
            Step::Reopen => next == Some(month),
        };
        if !is_next {
            return Err(NotClosed::OutOfOrder { state, next });
        }
        Ok(match step {
            Step::SoftClose => Self { soft_closed_through: last, ..self },
            Step::Close => Self { closed_through: last, soft_closed_through: soft.max(last) },
            Step::Reopen => {
                let before = Some(month.first().previous());
                Self {
                    closed_through: self.closed_through.min(before),
                    soft_closed_through: before,
                }
            }
        })
    }

    /// The month with which a step can be taken; `None` where that is any, or none.
    fn next(self, step: Step) -> Option<Month> {
        match step {
            Step::SoftClose => self.soft_closed_through.map(|last| Month::of(last).next()),
            Step::Close => self.closed_through.map(|last| Month::of(last).next()),
            Step::Reopen => self.soft_closed_through.map(Month::of),
        }
    }

    /// The first month whose state a step changes, where earlier ones have never been touched.
    pub(crate) fn first_changed(self, step: Step, month: Month) -> Month {
        match step {
            Step::SoftClose => self.next(step).unwrap_or(month),
            Step::Close | Step::Reopen => month,
        }
    }
}

/// What the log says of a step.
#[derive(Debug, Serialize)]
pub(crate) struct PeriodChange<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    period: String,
    state: &'a str,
    principal: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
}

impl<'a> PeriodChange<'a> {
    pub(crate) fn new(
        tenant: TenantId,
        (step, month): (Step, Month),
        principal: &'a str,
        reason_code: Option<&'a str>,
        time: Timestamp,
    ) -> Self {
        Self {
            v: 1,
            kind: step.kind(),
            tenant: tenant.name(),
            period: month.name(),
            state: step.state().name(),
            principal,
            time: time.to_string(),
            reason_code,
        }
    }

    /// The leaf: a line of JSON. It is plain data with string keys, which always serialises.
    pub(crate) fn leaf(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PeriodState::{Closed, Open, SoftClosed};
    use Step::{Close, Reopen, SoftClose};

    fn month(text: &str) -> Month {
        Month::parse_name(&format!("periods/{text}")).unwrap()
    }

    /// Takes steps on the first of November.
    fn take(closings: Closings, step: Step, text: &str) -> Result<Closings, NotClosed> {
        closings.take(step, month(text), Day::parse("2026-11-01").unwrap())
    }

    fn out_of_order(state: PeriodState, next: &str) -> Result<Closings, NotClosed> {
        Err(NotClosed::OutOfOrder { state, next: Some(next).filter(|n| !n.is_empty()).map(month) })
    }

    #[test]
    fn a_month_has_one_name() {
        assert_eq!(month("2026-02").name(), "periods/2026-02");
        assert_eq!(month("2026-02").last().to_string(), "2026-02-28");
        assert_eq!(month("2026-01").previous(), month("2025-12"));
        for name in
            ["", "periods/", "periods/2026-13", "periods/2026-2", "periods/2026-02-01", "2026-02"]
        {
            assert!(Month::parse_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn months_are_closed_in_their_order() {
        let open = Closings::default();
        assert_eq!(take(open, Close, "2026-11"), Err(NotClosed::NotEnded));
        assert_eq!(take(open, SoftClose, "2026-11"), Err(NotClosed::NotEnded));
        assert_eq!(take(open, Reopen, "2026-10"), out_of_order(Open, ""));
        // The first one brings all earlier ones with it.
        let august = take(open, Close, "2026-08").unwrap();
        assert_eq!(august.state(month("1999-12").first()), Closed);
        assert_eq!(take(august, Close, "2026-08"), out_of_order(Closed, "2026-09"));
        assert_eq!(take(august, Close, "2026-10"), out_of_order(Open, "2026-09"));
        assert_eq!(take(august, SoftClose, "2026-07"), out_of_order(Closed, "2026-09"));
        let october = take(august, SoftClose, "2026-10").unwrap();
        assert_eq!(october.state(month("2026-09").first()), SoftClosed);
        assert_eq!(october.first_changed(SoftClose, month("2026-10")), month("2026-11"));
        assert_eq!(august.first_changed(SoftClose, month("2026-10")), month("2026-09"));
        assert_eq!(take(october, SoftClose, "2026-09"), out_of_order(SoftClosed, "2026-11"));
        let september = take(october, Close, "2026-09").unwrap();
        assert_eq!(september.state(month("2026-10").first()), SoftClosed);
    }

    #[test]
    fn what_was_closed_last_is_opened_first() {
        let september = take(Closings::default(), Close, "2026-09").unwrap();
        let october = take(september, SoftClose, "2026-10").unwrap();
        assert_eq!(take(october, Reopen, "2026-09"), out_of_order(Closed, "2026-10"));
        assert_eq!(take(october, Reopen, "2026-11"), out_of_order(Open, "2026-10"));
        assert_eq!(take(october, Reopen, "2026-10"), Ok(september));
        let august = take(september, Reopen, "2026-09").unwrap();
        assert_eq!(august.state(month("2026-09").first()), Open);
        assert_eq!(august.state(month("2026-08").first()), Closed);
        // Closed softly alone, it leaves the earlier ones so.
        let soft = take(Closings::default(), SoftClose, "2026-09").unwrap();
        let soft = take(soft, Reopen, "2026-09").unwrap();
        assert_eq!((soft.closed_through, soft.state(month("2026-08").first())), (None, SoftClosed));
    }
}
