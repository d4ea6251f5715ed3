//! A hold of the reference.

use strongroom_proto::transactions::v1 as wire;
use wire::hold::State;
use wire::hold_event::Type;

use super::limits::Lent;
use super::money::{known, money};
use super::time::wire_time;

#[derive(Debug, Clone)]
pub(super) struct Hold {
    /// As it was asked for.
    pub(super) asked: wire::Hold,
    pub(super) name: String,
    pub(super) amount: i128,
    pub(super) remaining: i128,
    pub(super) captured: i128,
    pub(super) released: i128,
    pub(super) state: State,
    pub(super) expires: Option<i64>,
    pub(super) created: i64,
    pub(super) events: Vec<wire::HoldEvent>,
    /// What limits have counted for it.
    pub(super) lent: Vec<Lent>,
}

impl Hold {
    pub(super) fn currency(&self) -> &str {
        &self.asked.amount.as_ref().unwrap().currency
    }

    fn over_capture(&self) -> i128 {
        known(self.asked.over_capture.as_ref())
    }

    /// Whether it is over by the clock, though nobody has recorded that.
    pub(super) fn is_past(&self, now: i64) -> bool {
        self.state == State::Open && self.expires.is_some_and(|time| time <= now)
    }

    /// What captures may still take.
    pub(super) fn capturable(&self) -> i128 {
        let all = self.amount + self.over_capture() - self.captured;
        if self.state == State::Expired { all } else { all - self.released }
    }

    pub(super) fn happened(&mut self, kind: Type, amount: i128, time: i64, transaction: &str) {
        let event = wire::HoldEvent {
            seq: i32::try_from(self.events.len() + 1).unwrap(),
            r#type: kind.into(),
            amount: Some(money(amount, self.currency())),
            remaining: Some(money(self.remaining, self.currency())),
            transaction: transaction.to_owned(),
            expire_time: self.expires.map(wire_time),
            record_time: Some(wire_time(time)),
            force: None,
        };
        self.events.push(event);
    }

    /// Says that what has just happened was done against rules.
    pub(super) fn forced(&mut self, force: Option<wire::Force>) {
        self.events.last_mut().unwrap().force = force;
    }

    /// The hold as it has to be answered, without its events.
    pub(super) fn view(&self, now: i64) -> wire::Hold {
        let is_past = self.is_past(now);
        let given_back = if is_past { self.remaining } else { 0 };
        let amount = |units| Some(money(units, self.currency()));
        let over_capture = self.over_capture();
        let kind = match self.asked.r#type.as_str() {
            "" => "HOLD",
            kind => kind,
        };
        wire::Hold {
            name: self.name.clone(),
            amount: amount(self.amount),
            over_capture: amount(over_capture).filter(|_| over_capture != 0),
            r#type: kind.to_owned(),
            expire_time: self.expires.map(wire_time),
            state: if is_past { State::Expired } else { self.state }.into(),
            remaining: amount(self.remaining - given_back),
            captured: amount(self.captured),
            released: amount(self.released + given_back),
            create_time: Some(wire_time(self.created)),
            etag: format!("\"{}\"", self.events.len() + usize::from(is_past)),
            ..self.asked.clone()
        }
    }
}
