use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::testing::eur;

/// 2026-03-27T09:00:00Z: two days before summer time begins in Zurich.
const START: i64 = 1_774_602_000_000_000;

fn at(micros: i64) -> Calendar {
    Calendar::at(Timestamp::from_micros(micros), &TimeZone::get("Europe/Zurich").unwrap())
}

fn units(number: i128) -> Units {
    Units::new(number).unwrap()
}

fn limit(max_amount: Option<i128>, max_count: Option<i64>) -> Limit {
    Limit {
        id: "one".to_owned(),
        effect: Effect::Debit,
        window: Window::Day,
        max_amount: max_amount.map(units),
        max_count,
        types: vec!["CARD".to_owned()],
        scope: Scope::Account,
    }
}

fn exceeds(limit: &Limit, used: (i128, i64), amount: i128, count: i64) -> bool {
    let what = Use { act: Act::Debit, kind: "CARD", amount: units(amount), count };
    limit.check("accounts", eur(0).currency, (units(used.0), used.1), &what).is_some()
}

#[test]
fn a_limit_is_reached_and_then_exceeded() {
    let both = limit(Some(100), Some(3));
    assert!(!exceeds(&both, (60, 2), 40, 1));
    assert!(exceeds(&both, (60, 2), 41, 1));
    assert!(exceeds(&both, (60, 3), 1, 1));
    // What exceeds a hold is of an act that was counted.
    assert!(!exceeds(&both, (60, 3), 1, 0));
    assert!(!exceeds(&limit(None, Some(3)), (10_i128.pow(38) - 1, 0), 10_i128.pow(38) - 1, 1));
    assert!(exceeds(&limit(Some(10_i128.pow(38) - 1), None), (10_i128.pow(38) - 1, 0), 1, 1));
    // Forced beyond it, it stays exceeded, and what takes nothing passes.
    assert!(exceeds(&both, (150, 0), 1, 1));
    assert!(!exceeds(&both, (150, 0), 0, 0));
}

#[test]
fn a_limit_counts_its_types_and_every_kind_of_debit() {
    let cards = limit(Some(1), None);
    for act in [Act::Debit, Act::Hold, Act::Capture] {
        assert!(cards.counts(act, "CARD"));
        assert!(!cards.counts(act, "FEE"));
    }
    assert!(!cards.counts(Act::Credit, "CARD"));
    let all = Limit { types: vec![], effect: Effect::All, ..cards };
    assert!(all.counts(Act::Credit, "FEE") && all.counts(Act::Hold, "CARD"));
}

#[test]
fn a_rolling_window_is_a_minute_to_a_leap_year() {
    let day = 24 * 60 * 60 * 1_000_000;
    for (micros, fits) in [
        (60_000_000, true),
        (59_999_999, false),
        (366 * day, true),
        (366 * day + 1, false),
        (-1, false),
    ] {
        assert_eq!(rolling_length(micros).is_some(), fits, "{micros}");
    }
}

#[test]
fn an_amount_is_given_back_to_its_step_and_never_below_nothing() {
    let mut usage = Usage::default();
    let monday = at(START);
    let begin = usage.add(Window::Month, &monday, units(50), 1);
    let tuesday = at(START + DAY_US);
    usage.add(Window::Month, &tuesday, units(20), 1);
    usage.give_back(begin, units(30), 0);
    assert_eq!(usage.used(Window::Month, &tuesday), (units(40), 2));
    assert_eq!(usage.used(Window::Day, &tuesday), (units(20), 1));
    usage.give_back(begin, units(999), 9);
    assert_eq!(usage.used(Window::Month, &tuesday), (units(20), 1));
    // A step that has left the window takes nothing from those that are there.
    usage.add(Window::Month, &at(START + 20 * DAY_US), units(7), 1);
    usage.give_back(begin, units(7), 1);
    assert_eq!(usage.used(Window::Month, &at(START + 20 * DAY_US)), (units(7), 1));
}

#[test]
fn sums_of_38_digits_stay_at_the_most() {
    let most = units(10_i128.pow(38) - 1);
    let (mut usage, now) = (Usage::default(), at(START));
    for _ in 0..3 {
        usage.add(Window::Day, &now, most, 1);
    }
    assert_eq!(usage.used(Window::Day, &now), (most, 3));
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        Just(Window::Day),
        Just(Window::Month),
        (60_000_000..3 * DAY_US).prop_map(Window::Rolling),
    ]
}

/// Whether what happened at `then` is in the window at `now`: for certain, and at most.
fn inside(window: Window, then: i64, now: i64) -> (bool, bool) {
    let zone = TimeZone::get("Europe/Zurich").unwrap();
    let day = |micros| Timestamp::from_micros(micros).day_in(&zone);
    match window {
        Window::Transaction => (false, false),
        Window::Day => (day(then) == day(now), day(then) == day(now)),
        Window::Month => {
            let same = day(then).first_of_month() == day(now).first_of_month();
            (same, same)
        }
        // It moves in steps of a 60th.
        Window::Rolling(length) => (then > now - length, then > now - length - length / STEPS - 1),
    }
}

proptest! {
    /// Whatever is counted and given back, and however time goes on: everything that is in the
    /// window counts, and nothing does that has left it by more than a step.
    #[test]
    fn a_window_never_counts_too_little(
        window in windows(),
        acts in prop::collection::vec((0_i64..40 * 60 * 60, 1_i128..1_000, 0_u8..4), 1..120)
    ) {
        let mut usage = Usage::default();
        let mut now = START;
        // What was counted: when, in which step, how much is left of it, and how often.
        let mut counted: Vec<(i64, Timestamp, i128, i64)> = Vec::new();
        for (seconds, amount, kind) in acts {
            // Often at once, sometimes much later.
            now += match kind { 0 => seconds * 1_000_000, 1 => seconds * 1_000, _ => seconds };
            if kind == 3 && !counted.is_empty() {
                let index = usize::try_from(seconds).unwrap() % counted.len();
                let (_, begin, left, _) = &mut counted[index];
                let part = amount.min(*left);
                *left -= part;
                usage.give_back(*begin, units(part), 0);
            } else {
                let begin = usage.add(window, &at(now), units(amount), 1);
                prop_assert!(begin.micros() <= now);
                counted.push((now, begin, amount, 1));
            }
            let (used, count) = usage.used(window, &at(now));
            let sum = |most: bool| counted.iter().fold((0, 0), |(amount, count), one| {
                let (certain, possible) = inside(window, one.0, now);
                let counts = if most { possible } else { certain };
                if counts { (amount + one.2, count + one.3) } else { (amount, count) }
            });
            let (least, most) = (sum(false), sum(true));
            prop_assert!((least.0..=most.0).contains(&used.get()), "{least:?} {used:?} {most:?}");
            prop_assert!((least.1..=most.1).contains(&count), "{least:?} {count} {most:?}");
            prop_assert!(usage.0.len() <= 62, "{} steps", usage.0.len());
        }
    }
}
