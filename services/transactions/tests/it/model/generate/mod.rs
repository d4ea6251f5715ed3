//! Random calls: mostly such as a caller would make, and some of everything that is refused.

mod batches;
mod controls;
mod holds;
mod postings;
mod reversals;
mod values;

use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::GetOutcomeRequest;

use super::call::{Answer, Call, Made, Order, Reply};
use super::money::units;
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
