//! Random calls: mostly such as a caller would make, and some of everything that is refused.

mod batches;
mod controls;
mod holds;
mod postings;

use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;
use strongroom_proto::transactions::v1 as wire;

use super::call::{Answer, Call, Made, Order, Reply};
use super::money::{major, units};
use super::reference::Reference;
use super::rng::Rng;

/// Calls that are remembered, to be repeated.
const REMEMBERED: usize = 400;

#[derive(Debug)]
pub(super) struct Generator {
    pub(super) rng: Rng,
    /// The accounts of this caller alone.
    own: Vec<String>,
    /// The accounts without a bound; others may use them too.
    houses: Vec<String>,
    /// Two accounts between which amounts of up to 38 digits go.
    giants: Vec<String>,
    /// In front of all ids that this caller chooses.
    prefix: String,
    /// Whether nobody else uses the houses.
    is_alone: bool,
    numbered: u64,
    history: Vec<Call>,
    posted: Vec<String>,
    held: Vec<String>,
}

impl Generator {
    pub(super) fn new(
        rng: Rng,
        prefix: &str,
        own: Vec<String>,
        houses: Vec<String>,
        giants: Vec<String>,
        is_alone: bool,
    ) -> Self {
        Self {
            rng,
            own,
            houses,
            giants,
            prefix: prefix.to_owned(),
            is_alone,
            numbered: 0,
            history: Vec::new(),
            posted: Vec::new(),
            held: Vec::new(),
        }
    }

    /// The next call.
    pub(super) fn next(&mut self, reference: &Reference) -> Call {
        let call = match self.rng.weighted(&[74, 9, 5, 1, 2, 9]) {
            0 => Call::One(Box::new(self.order(reference))),
            1 => Call::Batch(self.batch(reference)),
            2 => Call::Controls(self.controls(reference)),
            3 => self.close(reference),
            4 => Call::Outcome(self.outcome()),
            _ => self.repeat(reference),
        };
        if self.history.len() >= REMEMBERED {
            let forgotten = self.rng.below(REMEMBERED);
            self.history.swap_remove(forgotten);
        }
        self.history.push(call.clone());
        call
    }

    /// Learns what there is from an answer.
    pub(super) fn learn(&mut self, call: &Call, answer: &Answer) {
        let is_dry = match call {
            Call::One(order) => order.is_dry(),
            Call::Batch(request) => request.validate_only,
            _ => true,
        };
        match &answer.reply {
            _ if is_dry => {}
            Ok(Reply::Made(made)) => self.learn_one(made),
            Ok(Reply::Batch(all)) => {
                for made in all.iter().filter_map(|(made, _)| made.as_ref().ok()) {
                    self.learn_one(made);
                }
            }
            _ => {}
        }
    }

    fn learn_one(&mut self, made: &Made) {
        match made {
            Made::Transaction(_) | Made::Capture(..) => self.posted.push(made.name().to_owned()),
            Made::Hold(hold) => self.held.push(hold.name.clone()),
        }
    }

    fn order(&mut self, reference: &Reference) -> Order {
        let mut order = match self.rng.weighted(&[22, 17, 13, 13, 5, 3, 4, 7]) {
            0 => Order::Transfer(self.some_transfer(reference)),
            1 => Order::Transaction(self.transaction(reference)),
            2 => Order::Hold(self.hold(reference)),
            3 => Order::Capture(self.capture(reference)),
            4 => Order::Release(self.release(reference)),
            5 => Order::Extend(self.extend(reference)),
            6 => Order::Increase(self.increase(reference)),
            _ => Order::Reversal(self.reversal(reference)),
        };
        if self.rng.percent(4) {
            order.set_dry();
        }
        order
    }

    /// An earlier call again, or another one under its id.
    fn repeat(&mut self, reference: &Reference) -> Call {
        if self.history.is_empty() {
            return Call::One(Box::new(self.order(reference)));
        }
        let earlier = self.rng.pick(&self.history).clone();
        let Call::One(earlier_order) = &earlier else { return earlier };
        if self.rng.percent(55) {
            return earlier;
        }
        let mut order = self.order(reference);
        order.set_request_id(earlier_order.request_id());
        Call::One(Box::new(order))
    }

    fn outcome(&mut self) -> GetOutcomeRequest {
        const OPERATIONS: [&str; 3] = ["create-transaction", "create-hold", "capture-hold"];
        let mut request = GetOutcomeRequest {
            operation: (*self.rng.pick(&OPERATIONS)).to_owned(),
            request_id: self.request_id(),
            fence: self.rng.percent(50),
        };
        if !self.history.is_empty()
            && let Call::One(order) = self.rng.pick(&self.history)
        {
            order.operation().clone_into(&mut request.operation);
            order.request_id().clone_into(&mut request.request_id);
        } else if request.fence {
            // So that its late original comes.
            let mut late = self.history.iter().rev().find_map(|call| match call {
                Call::One(order) if order.operation() == request.operation => Some(order.clone()),
                _ => None,
            });
            if let Some(late) = &mut late {
                late.set_request_id(&request.request_id);
                self.history.push(Call::One(late.clone()));
            }
        }
        request
    }

    fn request_id(&mut self) -> String {
        self.numbered += 1;
        format!("{}-{}", self.prefix, self.numbered)
    }

    fn currency(&mut self) -> &'static str {
        ["EUR", "EUR", "JPY", "TOKEN"][self.rng.below(4)]
    }

    /// An account; now and then one that is not there.
    fn account(&mut self, reference: &Reference, currency: &str) -> String {
        if self.rng.below(400) == 0 {
            return format!("accounts/{}", self.rng.uuid());
        }
        let closed_too = self.rng.percent(10);
        let all = if self.rng.percent(25) { &self.houses } else { &self.own };
        let fits = |name: &&String| {
            let account = reference.accounts.get(name).unwrap();
            account.currency() == currency && (closed_too || account.closed.is_none())
        };
        let fitting: Vec<&String> = all.iter().filter(fits).collect();
        (*self.rng.pick(&fitting)).clone()
    }

    /// Whether only this caller moves an account.
    fn is_own(&self, account: &str) -> bool {
        self.is_alone || !self.houses.iter().any(|house| house == account)
    }

    /// Small, so that accounts run dry, and in one currency beyond 64 bits.
    fn units(&mut self, currency: &str, most: i64) -> i128 {
        let units = i128::from(self.rng.between(1, most));
        if currency == "TOKEN" { units * (10_i128.pow(24) + 7) } else { units }
    }

    /// An amount, as callers may write it.
    fn money(&mut self, currency: &str, units: i128) -> Money {
        let mut amount = major(units, currency);
        if amount.contains('.') && self.rng.percent(20) {
            amount = amount.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        match self.rng.below(300) {
            0 => "0".clone_into(&mut amount),
            1 => "0.000000001".clone_into(&mut amount),
            _ => {}
        }
        Money { currency: currency.to_owned(), amount }
    }

    fn amount(&mut self, currency: &str) -> Money {
        let most = if self.rng.percent(10) { 3_000 } else { 300 };
        let units = self.units(currency, most);
        self.money(currency, units)
    }

    fn force(&mut self, chance: usize) -> Option<wire::Force> {
        use wire::Override::{Controls, Funds, HoldExpired, Limits};
        if !self.rng.percent(chance) {
            return None;
        }
        let mut overrides: Vec<i32> = Vec::new();
        for rule in [Funds, Limits, Controls, HoldExpired] {
            if self.rng.percent(60) {
                overrides.push(rule.into());
            }
        }
        if overrides.is_empty() {
            overrides.push(Funds.into());
        }
        Some(wire::Force { overrides, reason: "levy".to_owned() })
    }

    /// The id of something new: left to the service, chosen, or one that is in use.
    fn new_id(&mut self, taken: Taken) -> String {
        let all = match taken {
            Taken::Transactions => &self.posted,
            Taken::Holds => &self.held,
        };
        if !all.is_empty() && self.rng.below(100) == 0 {
            let name = self.rng.pick(all);
            return name.split_once('/').unwrap().1.to_owned();
        }
        if self.rng.percent(30) { self.rng.uuid().to_string() } else { String::new() }
    }
}

/// Of what an id may be in use.
#[derive(Clone, Copy)]
enum Taken {
    Transactions,
    Holds,
}

/// Whether an amount is not one of the malformed ones.
fn is_usable(amount: &Money) -> bool {
    units(amount).is_some_and(|units| units > 0)
}

/// So many hundredths of an amount.
fn share(units: i128, percent: i64) -> i128 {
    let percent = i128::from(percent);
    units.checked_mul(percent).map_or(units / 100 * percent, |all| all / 100)
}
