//! Limits: how much, or how often, in a window of time. What they have counted is kept in steps, so
//! that a window that moves forgets what has left it.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use shared::money::{Currency, Units};
use shared::time::Timestamp;
use uuid::Uuid;

use super::account::saturating_add;
use super::{Act, Effect, LedgerAccount};

/// Types that one limit may name.
pub(crate) const TYPES_MAX: usize = 32;
/// Steps of a rolling window.
const STEPS: i64 = 60;
const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// Over which time a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Window {
    /// Each transaction by itself.
    Transaction,
    /// A calendar day in the tenant's zone.
    Day,
    /// A calendar month in the tenant's zone.
    Month,
    /// The time before the posting, in microseconds.
    Rolling(i64),
}

impl Window {
    /// The word for it in a refusal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transaction => "TRANSACTION",
            Self::Day => "DAY",
            Self::Month => "MONTH",
            Self::Rolling(_) => "ROLLING",
        }
    }

    /// The begin of the step that counts what happens at a time, and of the first step that is
    /// still in the window. A rolling window keeps a step for as long as any of it is inside.
    fn steps(self, calendar: &Calendar) -> (Timestamp, Timestamp) {
        match self {
            Self::Transaction => (calendar.now, calendar.now),
            Self::Day => (calendar.day, calendar.day),
            Self::Month => (calendar.day, calendar.month),
            Self::Rolling(length) => {
                let (now, step) = (calendar.now.micros(), length / STEPS);
                let current = now.div_euclid(step) * step;
                (Timestamp::from_micros(current), Timestamp::from_micros(now - length - step + 1))
            }
        }
    }
}

/// The length of a rolling window from microseconds: a minute to 366 days.
pub(crate) fn rolling_length(micros: i64) -> Option<Window> {
    (MINUTE_US..=366 * DAY_US).contains(&micros).then_some(Window::Rolling(micros))
}

/// What time it is, for the windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    pub(crate) now: Timestamp,
    /// When the present day began in the tenant's zone.
    pub(crate) day: Timestamp,
    /// When the present month began.
    pub(crate) month: Timestamp,
}

impl Calendar {
    /// The calendar of a time zone at a time.
    pub(crate) fn at(now: Timestamp, zone: &TimeZone) -> Self {
        let day = now.day_in(zone);
        Self { now, day: day.start_in(zone), month: day.first_of_month().start_in(zone) }
    }
}

/// What a limit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Scope {
    Account,
    /// All accounts of a customer in one currency.
    Customer,
}

/// Bounds how much, or how often, an account is debited or credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) id: String,
    pub(crate) effect: Effect,
    pub(crate) window: Window,
    pub(crate) max_amount: Option<Units>,
    pub(crate) max_count: Option<i64>,
    /// Empty for all types.
    pub(crate) types: Vec<String>,
    pub(crate) scope: Scope,
}

impl Limit {
    /// Whether an act of this type counts.
    pub(super) fn counts(&self, act: Act, kind: &str) -> bool {
        self.effect.is_about(act) && (self.types.is_empty() || self.types.iter().any(|t| t == kind))
    }

    /// Where its count is kept; nowhere for a limit of single transactions.
    pub(crate) fn key(&self, source: &str, account: &LedgerAccount) -> Option<UsageKey> {
        if self.window == Window::Transaction {
            return None;
        }
        Some(UsageKey::new(account, source, self))
    }
}

/// Where a count is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct UsageKey {
    pub(crate) scope: Scope,
    pub(crate) holder: Uuid,
    pub(crate) name: String,
}

impl UsageKey {
    /// A house account is its own holder.
    fn new(account: &LedgerAccount, source: &str, limit: &Limit) -> Self {
        let (scope, holder) = match (limit.scope, account.customer) {
            (Scope::Customer, Some(customer)) => (Scope::Customer, customer.uuid()),
            _ => (Scope::Account, account.id.uuid()),
        };
        // A shorter window forgets what a longer one still needs, so each has a count of its own.
        let window = match limit.window {
            Window::Rolling(micros) => format!("ROLLING:{micros}"),
            other => other.name().to_owned(),
        };
        let name = format!("{source}/{}/{window}/{}", limit.id, account.currency);
        Self { scope, holder, name }
    }
}

/// What was counted in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) begin: Timestamp,
    pub(crate) amount: Units,
    pub(crate) count: i64,
}

/// What a limit has counted, by the begin of the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) Vec<Step>);

impl Usage {
    /// The amount and the count that are in the window now.
    pub(crate) fn used(&self, window: Window, calendar: &Calendar) -> (Units, i64) {
        let (_, from) = window.steps(calendar);
        let inside = self.0.iter().filter(|step| step.begin >= from);
        inside.fold((Units::ZERO, 0), |(amount, count), step| {
            (saturating_add(amount, step.amount), count + step.count)
        })
    }

    /// Counts, forgets what has left the window, and gives the begin of the step.
    pub(super) fn add(
        &mut self,
        window: Window,
        calendar: &Calendar,
        amount: Units,
        count: i64,
    ) -> Timestamp {
        let (begin, from) = window.steps(calendar);
        self.0.retain(|step| step.begin >= from);
        if let Some(step) = self.0.iter_mut().find(|step| step.begin == begin) {
            step.amount = saturating_add(step.amount, amount);
            step.count += count;
        } else {
            self.0.push(Step { begin, amount, count });
            self.0.sort_by_key(|step| step.begin);
        }
        begin
    }

    /// Takes back what was counted in a step, if it is still there.
    pub(super) fn give_back(&mut self, begin: Timestamp, amount: Units, count: i64) {
        if let Some(step) = self.0.iter_mut().find(|step| step.begin == begin) {
            step.amount = step.amount.checked_sub(amount).unwrap_or_default().max(Units::ZERO);
            step.count = (step.count - count).max(0);
        }
    }
}

/// What a hold has counted in a step, to be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) key: UsageKey,
    pub(crate) begin: Timestamp,
    pub(crate) amount: Units,
    pub(crate) count: i64,
}

/// What is to be counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use<'a> {
    pub(super) act: Act,
    pub(super) kind: &'a str,
    pub(super) amount: Units,
    pub(super) count: i64,
}

/// A limit that stands against what is to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) window: Window,
    pub(crate) currency: Currency,
    pub(crate) max_amount: Option<Units>,
    pub(crate) max_count: Option<i64>,
    pub(crate) used_amount: Units,
    pub(crate) used_count: i64,
    pub(crate) requested: Units,
}

impl Limit {
    /// The limit, where what is to be counted exceeds it.
    pub(super) fn check(
        &self,
        source: &str,
        currency: Currency,
        (used_amount, used_count): (Units, i64),
        what: &Use<'_>,
    ) -> Option<Exceeded> {
        let amount = used_amount.get().saturating_add(what.amount.get());
        let over_amount = self.max_amount.is_some_and(|max| amount > max.get());
        let over_count =
            what.count > 0 && self.max_count.is_some_and(|max| used_count + what.count > max);
        // What takes nothing exceeds nothing.
        let is_over = (over_amount && what.amount > Units::ZERO) || over_count;
        is_over.then(|| Exceeded {
            source: source.to_owned(),
            id: self.id.clone(),
            window: self.window,
            currency,
            max_amount: self.max_amount,
            max_count: self.max_count,
            used_amount,
            used_count,
            requested: what.amount,
        })
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
