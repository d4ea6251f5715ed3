//! Limits of the reference: a list of everything that was counted, of which each window takes its
//! part.

use std::collections::BTreeSet;

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::limit::{Scope, Window};

use super::account::{Account, Act};
use super::call::Refusal;
use super::money::{known, major};
use super::reference::Reference;
use super::time::{SECOND, day_begin, month_begin};

/// Something that was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    time: i64,
    amount: i128,
    count: i64,
}

/// What a hold has put into a list, and may give back.
#[derive(Debug, Clone)]
pub(super) struct Lent {
    list: String,
    place: usize,
}

/// What is to be counted.
pub(super) struct Weight<'a> {
    pub(super) act: Act,
    pub(super) kind: &'a str,
    pub(super) amount: i128,
    /// 0 where it was counted before and only its amount grows.
    pub(super) count: i64,
}

/// The list in which a limit counts; none for single transactions.
pub(super) fn list(account: &Account, source: &str, limit: &wire::Limit) -> Option<String> {
    let customer = &account.registered.customer;
    let holder = match limit.scope() {
        Scope::Customer if !customer.is_empty() => customer,
        _ => account.name(),
    };
    let name = format!("{holder} {source} {} {}", limit.id, account.currency());
    (limit.window() != Window::Transaction).then_some(name)
}

/// Tells whether what was counted at a time is still in the window now.
fn window(limit: &wire::Limit, now: i64) -> Box<dyn Fn(i64) -> bool> {
    match limit.window() {
        Window::Day => {
            let begin = day_begin(now);
            Box::new(move |time| time >= begin)
        }
        Window::Month => {
            let begin = month_begin(now);
            Box::new(move |time| time >= begin)
        }
        Window::Rolling => {
            let length = limit.rolling_length.as_ref().unwrap().seconds * SECOND;
            // It moves in steps, and keeps a step for as long as any of it is inside.
            let step = length / 60;
            Box::new(move |time| time.div_euclid(step) * step + step > now - length)
        }
        Window::Transaction | Window::Unspecified => Box::new(|_| false),
    }
}

impl Reference {
    /// What an account's limits have against something; it is counted in any case.
    pub(super) fn count(&mut self, name: &str, weight: &Weight<'_>) -> (Vec<Refusal>, Vec<Lent>) {
        let account = self.accounts.get(name).unwrap().clone();
        let (mut against, mut lent) = (Vec::new(), Vec::new());
        let controls = account.controls.values();
        let limits = controls.flat_map(|from| from.limits.iter().map(move |one| (from, one)));
        let is_about = |limit: &wire::Limit| {
            let types = &limit.types;
            let of_type = types.is_empty() || types.iter().any(|kind| kind == weight.kind);
            of_type && weight.act.is_under(limit.effect())
        };
        let mut places = Vec::new();
        for (from, limit) in limits.filter(|(_, limit)| is_about(limit)) {
            let list = list(&account, &from.source, limit);
            let used = list.as_ref().map(|list| self.used(list, limit)).unwrap_or_default();
            against.extend(exceeded(&account, &from.source, limit, used, weight));
            places.extend(list);
        }
        for list in places {
            let mut all = self.counts.get(&list).cloned().unwrap_or_default();
            lent.push(Lent { list: list.clone(), place: all.len() });
            all.push(Counted { time: self.now, amount: weight.amount, count: weight.count });
            self.counts.put(&list, all);
        }
        (against, lent)
    }

    /// What is in the window of a limit now. A hold that has expired counts no more, whether or not
    /// anybody has recorded that.
    pub(super) fn used(&self, list: &str, limit: &wire::Limit) -> (i128, i64) {
        let mut all = self.counts.get(list).cloned().unwrap_or_default();
        for hold in self.due() {
            give_back(&mut all, list, &hold.lent, hold.remaining, hold.captured == 0);
        }
        let is_inside = window(limit, self.now);
        let inside = all.iter().filter(|one| is_inside(one.time));
        inside.fold((0, 0), |(amount, count), one| (amount + one.amount, count + one.count))
    }

    /// Gives back of what a hold has counted.
    pub(super) fn give_back(&mut self, lent: &[Lent], amount: i128, with_count: bool) {
        let lists: BTreeSet<&String> = lent.iter().map(|one| &one.list).collect();
        for list in lists {
            let mut all = self.counts.get(list).cloned().unwrap_or_default();
            give_back(&mut all, list, lent, amount, with_count);
            self.counts.put(list, all);
        }
    }
}

/// Gives back the amount that a hold has counted last first, and the count too where nothing came
/// of the hold.
fn give_back(all: &mut [Counted], list: &str, lent: &[Lent], amount: i128, with_count: bool) {
    let mut rest = amount;
    for one in lent.iter().rev().filter(|one| one.list == list) {
        let counted = &mut all[one.place];
        let part = rest.min(counted.amount);
        counted.amount -= part;
        rest -= part;
        if with_count {
            counted.count = 0;
        }
    }
}

fn exceeded(
    account: &Account,
    source: &str,
    limit: &wire::Limit,
    (used_amount, used_count): (i128, i64),
    weight: &Weight<'_>,
) -> Option<Refusal> {
    let max = limit.max_amount.as_ref().map(|max| known(Some(max)));
    let is_large = max.is_some_and(|max| used_amount + weight.amount > max);
    let is_frequent =
        limit.max_count > 0 && weight.count > 0 && used_count + weight.count > limit.max_count;
    let refusal = Refusal::new(Reason::LimitExceeded)
        .with("account", account.name())
        .with("limit", &limit.id)
        .with("source", source)
        .with("requested", major(weight.amount, account.currency()));
    let window = limit.window().as_str_name();
    let refusal = refusal.with("window", window.trim_start_matches("WINDOW_"));
    let refusal = match limit.window() {
        Window::Transaction => refusal,
        _ => refusal
            .with("used", major(used_amount, account.currency()))
            .with("used_count", used_count),
    };
    (is_large || is_frequent).then_some(refusal)
}
