//! On which day a posting is booked, and when it takes effect.

use shared::time::{Day, Timestamp};

use super::{Books, Late, NewTransaction, Refusal};

/// On which day something is booked, and when it takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) booking_date: Day,
    pub(super) effective_time: Timestamp,
}

impl Books {
    /// The day on which it is booked. One that names none is booked on its day, or on the first
    /// that is open: another replica, whose clock is ahead, may have closed the month that just
    /// ended.
    pub(super) fn book(
        &self,
        draft: &NewTransaction,
        record_time: Timestamp,
    ) -> Result<Booked, Refusal> {
        let today = record_time.day_in(&self.zone);
        let asked = draft.booking_date.unwrap_or(today);
        if asked > today {
            let (field, sentence) = ("booking_date".to_owned(), "must not be in the future");
            return Err(Refusal::Invalid { field, sentence: sentence.to_owned() });
        }
        let first_open = self.closings.first_open(draft.books_soft_closed);
        let booking_date = match first_open.filter(|first| asked < *first) {
            None => asked,
            Some(first) if draft.booking_date.is_none() || draft.late == Late::NextOpenPeriod => {
                first
            }
            Some(_) => {
                let state = self.closings.state(asked);
                return Err(Refusal::PeriodClosed { day: asked, state });
            }
        };
        // What is booked on another day takes effect on that day, unless it says when.
        let begin = draft.booking_date.filter(|day| *day != today);
        let begin = begin.map_or(record_time, |day| day.start_in(&self.zone));
        let effective_time = draft.effective_time.unwrap_or(begin);
        Ok(Booked { booking_date, effective_time })
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::testing::{NOW, transfer};
    use super::super::{Closings, PeriodState};
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// The books of the first of January 1970, of which the year before is closed, December softly.
    fn books() -> Books {
        let mut books = Books::open(NOW, TimeZone::UTC);
        books.closings = Closings {
            closed_through: Some(day("1969-11-30")),
            soft_closed_through: Some(day("1969-12-31")),
        };
        books
    }

    fn asked(text: &str) -> NewTransaction {
        NewTransaction { booking_date: Some(day(text)), ..transfer(0, 1, 1) }
    }

    #[test]
    fn what_names_no_day_is_booked_today_and_takes_effect_now() {
        let booked = books().book(&transfer(0, 1, 1), NOW).unwrap();
        assert_eq!(booked, Booked { booking_date: day("1970-01-01"), effective_time: NOW });
    }

    #[test]
    fn a_clock_that_is_behind_books_on_the_first_open_day() {
        let late = Timestamp::from_micros(-1);
        let booked = books().book(&transfer(0, 1, 1), late).unwrap();
        assert_eq!(booked, Booked { booking_date: day("1970-01-01"), effective_time: late });
    }

    #[test]
    fn a_late_item_is_refused_or_goes_to_the_next_open_day_with_its_value_date() {
        let state = PeriodState::SoftClosed;
        let refused = books().book(&asked("1969-12-30"), NOW);
        assert_eq!(refused, Err(Refusal::PeriodClosed { day: day("1969-12-30"), state }));
        let late = NewTransaction { late: Late::NextOpenPeriod, ..asked("1969-12-30") };
        let booked = books().book(&late, NOW).unwrap();
        let effective_time = day("1969-12-30").start_in(&TimeZone::UTC);
        assert_eq!(booked, Booked { booking_date: day("1970-01-01"), effective_time });
    }

    #[test]
    fn who_may_books_where_it_is_closed_softly_and_nobody_where_it_is_for_good() {
        let with = |draft| NewTransaction { books_soft_closed: true, ..draft };
        let booked = books().book(&with(asked("1969-12-30")), NOW).unwrap();
        assert_eq!(booked.booking_date, day("1969-12-30"));
        let state = PeriodState::Closed;
        let refused = books().book(&with(asked("1969-11-30")), NOW);
        assert_eq!(refused, Err(Refusal::PeriodClosed { day: day("1969-11-30"), state }));
        let late = NewTransaction { late: Late::NextOpenPeriod, ..asked("1969-11-30") };
        assert_eq!(books().book(&with(late), NOW).unwrap().booking_date, day("1969-12-01"));
    }

    #[test]
    fn nothing_is_booked_in_the_future() {
        let refused = books().book(&asked("1970-01-02"), NOW);
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
}
