//! Holds every answer against what had to be answered, and goes on from there.

use shared::problem::Reason;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, outcome};
use strongroom_proto::transactions::v1 as wire;
use wire::BatchMode;

use super::call::{Answer, Call, Made, Order, Refusal, Reply};
use super::compare::{Compared, Exactness, Expected, Wrong, compare};
use super::reference::{Against, Outcome, Reference, key};

pub(super) fn reused(operation: &str) -> Against {
    vec![Refusal::new(Reason::RequestIdReused).with("operation", operation)]
}

impl Reference {
    /// Checks the answer to a call.
    pub(super) fn check(
        &mut self,
        call: &Call,
        answer: &Answer,
        exactness: &Exactness,
    ) -> Result<(), Wrong> {
        match call {
            Call::One(order) => {
                let made = answer.reply.as_ref().map(|reply| match reply {
                    Reply::Made(made) => made,
                    other => panic!("{other:?}"),
                });
                self.one(order, made, answer.is_replay, exactness, false)
            }
            Call::Batch(request) if request.mode() == BatchMode::Independent => {
                let Ok(Reply::Batch(results)) = &answer.reply else {
                    return Err("an independent batch is not refused as a whole".to_owned());
                };
                self.independent(request, results, exactness)
            }
            Call::Batch(request) => self.all_or_nothing(request, answer, exactness),
            Call::Controls(request) => self.check_controls(request, answer, exactness),
            Call::Close(request) => self.check_close(request, answer, exactness),
            Call::Outcome(request) => self.check_outcome(request, answer),
        }
    }

    fn one(
        &mut self,
        order: &Order,
        answered: Result<&Made, &Refusal>,
        is_replay: bool,
        exactness: &Exactness,
        is_item: bool,
    ) -> Result<(), Wrong> {
        let name = name(order, answered.ok());
        let expected = self.expect_one(order, &name);
        let found = answered.map(std::slice::from_ref);
        // A replay shows holds as they are when it is read, which is after later items of a batch.
        let compared = if is_item && is_replay { Compared::Names } else { Compared::All };
        compare(&expected, found, is_replay, exactness, compared)?;
        if !order.is_dry() && !expected.is_replay {
            let id = key(order.operation(), order.request_id());
            self.remember(&id, Call::One(Box::new(order.clone())), found);
        }
        Ok(())
    }

    /// Keeps what was decided for good under its request id.
    fn remember(&mut self, id: &str, call: Call, answered: Result<&[Made], &Refusal>) {
        match answered {
            Ok(made) => self.outcomes.put(id, Outcome::Made(call, made.to_vec())),
            Err(refusal) if refusal.is_frozen() && self.outcomes.get(id).is_none() => {
                self.outcomes.put(id, Outcome::Refused(call, refusal.clone()));
            }
            Err(_) => {}
        }
        self.keep();
    }

    fn expect_one(&mut self, order: &Order, name: &str) -> Expected {
        let malformed = self.malformed(order);
        if !malformed.is_empty() {
            return Expected { made: Err(malformed), is_replay: false };
        }
        let id = key(order.operation(), order.request_id());
        if !order.is_dry()
            && let Some(expected) = self.replay(&id, order)
        {
            self.unsure.extend(self.touched(order));
            return expected;
        }
        self.settle(&self.touched(order));
        if !order.is_dry() {
            self.keep();
        }
        let made = self.decide(order, name).map(|made| vec![made]);
        if order.is_dry() || made.is_err() {
            self.take_back();
        }
        self.keep();
        Expected { made, is_replay: false }
    }

    /// What an id that was settled before has to be answered with.
    fn replay(&self, id: &str, order: &Order) -> Option<Expected> {
        let call = Call::One(Box::new(order.clone()));
        self.replay_call(id, order.operation(), &call)
    }

    fn replay_call(&self, id: &str, operation: &str, call: &Call) -> Option<Expected> {
        Some(match self.outcomes.get(id)? {
            Outcome::Made(earlier, made) if earlier == call => {
                let made = made.iter().map(|made| self.as_now(made)).collect();
                Expected { made: Ok(made), is_replay: true }
            }
            Outcome::Refused(earlier, refusal) if earlier == call => {
                Expected { made: Err(vec![refusal.clone()]), is_replay: false }
            }
            _ => Expected { made: Err(reused(operation)), is_replay: false },
        })
    }

    /// What was made, with holds as they are now.
    fn as_now(&self, made: &Made) -> Made {
        let hold = |hold: &wire::Hold| self.holds.get(&hold.name).unwrap().view(self.now);
        match made {
            Made::Transaction(transaction) => Made::Transaction(transaction.clone()),
            Made::Hold(one) => Made::Hold(hold(one)),
            Made::Capture(one, transaction) => {
                Made::Capture(Box::new(hold(one)), transaction.clone())
            }
        }
    }

    fn independent(
        &mut self,
        request: &wire::ExecuteBatchRequest,
        results: &[(Result<Made, Refusal>, bool)],
        exactness: &Exactness,
    ) -> Result<(), Wrong> {
        if results.len() != request.items.len() {
            return Err(format!("{} results", results.len()));
        }
        for (index, (order, (made, is_replay))) in orders(request).iter().zip(results).enumerate() {
            self.one(order, made.as_ref(), *is_replay, exactness, true)
                .map_err(|wrong| format!("item {index}: {wrong}"))?;
        }
        Ok(())
    }

    fn all_or_nothing(
        &mut self,
        request: &wire::ExecuteBatchRequest,
        answer: &Answer,
        exactness: &Exactness,
    ) -> Result<(), Wrong> {
        let made: Result<Vec<Made>, &Refusal> = answer.reply.as_ref().map(|reply| match reply {
            Reply::Batch(results) => {
                results.iter().map(|(made, _)| made.clone().unwrap()).collect()
            }
            other => panic!("{other:?}"),
        });
        let expected = self.expect_all(request, made.as_deref().unwrap_or_default());
        let found = made.as_ref().map(Vec::as_slice).map_err(|refusal| *refusal);
        compare(&expected, found, answer.is_replay, exactness, Compared::All)?;
        if !request.validate_only && !expected.is_replay {
            let id = key("execute-batch", &request.request_id);
            self.remember(&id, Call::Batch(request.clone()), found);
        }
        Ok(())
    }

    fn expect_all(&mut self, request: &wire::ExecuteBatchRequest, made: &[Made]) -> Expected {
        let orders = orders(request);
        let (id, call) = (key("execute-batch", &request.request_id), Call::Batch(request.clone()));
        let malformed = orders.iter().map(|order| self.malformed(order));
        let expected = match malformed.into_iter().find(|against| !against.is_empty()) {
            Some(against) => Some(Expected { made: Err(against), is_replay: false }),
            None if request.validate_only => None,
            None => self.replay_call(&id, "execute-batch", &call),
        };
        let touched = orders.iter().flat_map(|order| self.touched(order)).collect();
        if let Some(expected) = expected {
            self.unsure.extend(touched);
            return expected;
        }
        self.settle(&touched);
        if !request.validate_only {
            self.keep();
        }
        let all = self.decide_all(&orders, made);
        if request.validate_only || all.is_err() {
            self.take_back();
        }
        self.keep();
        Expected { made: all, is_replay: false }
    }

    fn decide_all(&mut self, orders: &[Order], made: &[Made]) -> Result<Vec<Made>, Against> {
        let mut all = Vec::new();
        for (index, order) in orders.iter().enumerate() {
            let decided = self.decide(order, &name(order, made.get(index)));
            let in_item = |against: Against| -> Against {
                against.into_iter().map(|one| one.with("item", index)).collect()
            };
            all.push(decided.map_err(in_item)?);
        }
        Ok(all)
    }

    fn check_outcome(&mut self, request: &GetOutcomeRequest, answer: &Answer) -> Result<(), Wrong> {
        let Ok(Reply::Outcome(found)) = &answer.reply else {
            return Err("an outcome is never refused".to_owned());
        };
        let id = key(&request.operation, &request.request_id);
        let (state, reason) = match self.outcomes.get(&id) {
            None | Some(Outcome::Fenced) => (outcome::State::Unknown, Reason::Unspecified),
            Some(Outcome::Made(..) | Outcome::Account(..)) => {
                (outcome::State::Succeeded, Reason::Unspecified)
            }
            Some(Outcome::Refused(_, refusal)) => (outcome::State::Rejected, refusal.reason),
        };
        if request.fence && self.outcomes.get(&id).is_none() {
            self.outcomes.put(&id, Outcome::Fenced);
            self.keep();
        }
        match (found.state(), found.reason()) == (state, reason) {
            true => Ok(()),
            false => Err(format!("expected {state:?} {reason:?}")),
        }
    }
}

/// The items of a batch.
fn orders(request: &wire::ExecuteBatchRequest) -> Vec<Order> {
    let order = |item| {
        let mut order = Order::of_item(item);
        order.join(&request.group_id);
        if request.validate_only {
            order.set_dry();
        }
        order
    };
    request.items.iter().map(order).collect()
}

/// What the new resource of an order is called: the caller or the service has chosen.
fn name(order: &Order, answered: Option<&Made>) -> String {
    let collection = if matches!(order, Order::Hold(_)) { "holds" } else { "transactions" };
    match (order.chosen(), answered) {
        ("", Some(made)) => made.name().to_owned(),
        (chosen, _) => format!("{collection}/{chosen}"),
    }
}
