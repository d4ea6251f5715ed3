//! How the reference holds, captures and releases.

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::Override;
use wire::hold::State;
use wire::hold_event::Type;

use super::account::Act;
use super::call::Refusal;
use super::hold::Hold;
use super::limits::{Lent, Weight};
use super::money::{fits, known, major};
use super::posting::overrides;
use super::reference::{Against, Reference};
use super::time::micros;

impl Reference {
    /// A hold that something may still be asked of.
    pub(super) fn open_hold(
        &self,
        name: &str,
        force: Option<&wire::Force>,
    ) -> Result<Hold, Against> {
        let Some(hold) = self.holds.get(name) else {
            return Err(vec![Refusal::new(Reason::ResourceNotFound).with("name", name)]);
        };
        let refusal = match hold.state {
            State::Expired if overrides(force, Override::HoldExpired) => return Ok(hold.clone()),
            State::Open => return Ok(hold.clone()),
            State::Expired => Refusal::new(Reason::HoldExpired),
            state => Refusal::new(Reason::HoldFinished)
                .with("state", state.as_str_name().trim_start_matches("STATE_")),
        };
        Err(vec![refusal.with("hold", name)])
    }

    pub(super) fn create_hold(
        &mut self,
        name: &str,
        request: &wire::CreateHoldRequest,
    ) -> Result<wire::Hold, Against> {
        let asked = request.hold.clone().unwrap();
        let named = [&asked.account, &asked.destination];
        let named = named.into_iter().filter(|name| !name.is_empty());
        let mut against: Against = named.filter_map(|name| self.inaccessible(name)).collect();
        if !against.is_empty() {
            return Err(against);
        }
        let amount = asked.amount.clone().unwrap();
        if let Some(destination) = self.accounts.get(&asked.destination)
            && destination.currency() != amount.currency
        {
            let refusal = Refusal::new(Reason::CurrencyMismatch);
            against.push(refusal.with("expected", destination.currency()));
        }
        let expires = asked.expire_time.as_ref().map(micros);
        if expires.is_some_and(|time| time <= self.now) {
            against.push(Refusal::new(Reason::FieldInvalid));
        }
        against.extend(self.claim(name, !request.hold_id.is_empty(), &asked.external_ids));
        let units = known(Some(&amount));
        let kind = if asked.r#type.is_empty() { "HOLD" } else { &asked.r#type };
        let kept = self.hold_back(&asked.account, &amount, kind, 1, asked.force.as_ref());
        let (time, lent) = match kept {
            Ok(kept) if against.is_empty() => kept,
            Ok(_) => return Err(against),
            Err(more) => return Err([against, more].concat()),
        };
        let mut hold = Hold {
            asked,
            name: name.to_owned(),
            amount: units,
            remaining: units,
            captured: 0,
            released: 0,
            state: State::Open,
            expires,
            created: time,
            events: Vec::new(),
            lent,
        };
        hold.happened(Type::Created, units, time, "");
        hold.forced(hold.asked.force.clone());
        self.watch(name);
        Ok(self.put_hold(hold))
    }

    pub(super) fn put_hold(&mut self, hold: Hold) -> wire::Hold {
        let view = hold.view(self.now);
        let name = hold.name.clone();
        self.holds.put(&name, hold);
        view
    }

    /// Keeps an amount back, as far as the account lets it.
    fn hold_back(
        &mut self,
        name: &str,
        amount: &strongroom_proto::common::v1::Money,
        kind: &str,
        count: i64,
        force: Option<&wire::Force>,
    ) -> Result<(i64, Vec<Lent>), Against> {
        let account = self.accounts.get(name).unwrap();
        if amount.currency != account.currency() {
            let refusal = Refusal::new(Reason::CurrencyMismatch);
            return Err(vec![refusal.with("expected", account.currency())]);
        }
        let (units, before) = (known(Some(amount)), account.clone());
        let mut against = match overrides(force, Override::Controls) {
            true => Vec::new(),
            false => self.forbidden(account, Act::Hold),
        };
        let time = self.record_time([name]);
        let account = self.accounts.change(name);
        account.held += units;
        account.touch(time);
        if !fits(account.held) {
            against.push(Refusal::new(Reason::AmountOverflow).with("account", name));
        }
        if !overrides(force, Override::Funds) {
            against.extend(self.too_low(&before));
        }
        let weight = Weight { act: Act::Hold, kind, amount: units, count };
        let (exceeded, lent) = self.count(name, &weight);
        if !overrides(force, Override::Limits) {
            against.extend(exceeded);
        }
        if against.is_empty() { Ok((time, lent)) } else { Err(against) }
    }

    pub(super) fn increase_hold(
        &mut self,
        request: &wire::IncreaseHoldRequest,
    ) -> Result<wire::Hold, Against> {
        let mut hold = self.open_hold(&request.name, None)?;
        if let Some(refusal) = self.inaccessible(&hold.asked.account) {
            return Err(vec![refusal]);
        }
        let (amount, force) = (request.amount.as_ref().unwrap(), request.force.as_ref());
        let kind = hold.view(self.now).r#type;
        let (time, lent) = self.hold_back(&hold.asked.account, amount, &kind, 0, force)?;
        let units = known(Some(amount));
        hold.lent.extend(lent);
        hold.amount += units;
        hold.remaining += units;
        hold.happened(Type::Increased, units, time, "");
        hold.forced(request.force.clone());
        Ok(self.put_hold(hold))
    }

    pub(super) fn extend_hold(
        &mut self,
        request: &wire::ExtendHoldRequest,
    ) -> Result<wire::Hold, Against> {
        let mut hold = self.open_hold(&request.name, None)?;
        let new = request.expire_time.as_ref().map(micros);
        let is_later = hold.expires.is_some_and(|old| new.is_none_or(|new| new > old));
        if !is_later {
            return Err(vec![Refusal::new(Reason::FieldInvalid)]);
        }
        hold.expires = new;
        let time = self.touch(&hold.asked.account);
        hold.happened(Type::Extended, 0, time, "");
        Ok(self.put_hold(hold))
    }

    fn touch(&mut self, account: &str) -> i64 {
        let time = self.record_time([account]);
        self.accounts.change(account).touch(time);
        time
    }

    pub(super) fn release_hold(
        &mut self,
        request: &wire::ReleaseHoldRequest,
    ) -> Result<wire::Hold, Against> {
        let mut hold = self.open_hold(&request.name, None)?;
        let amount = match &request.amount {
            None => hold.remaining,
            Some(amount) if amount.currency == hold.currency() => known(Some(amount)),
            Some(_) => return Err(vec![Refusal::new(Reason::CurrencyMismatch)]),
        };
        if amount > hold.remaining {
            return Err(vec![beyond(&hold, hold.remaining, amount)]);
        }
        let time = self.touch(&hold.asked.account);
        self.give_up(&mut hold, amount);
        if hold.remaining == 0 {
            hold.state = if hold.captured > 0 { State::Captured } else { State::Released };
        }
        self.give_back(&hold.lent, amount, hold.state == State::Released);
        hold.happened(Type::Released, amount, time, "");
        Ok(self.put_hold(hold))
    }

    /// Has a hold keep less back.
    fn give_up(&mut self, hold: &mut Hold, amount: i128) {
        self.accounts.change(&hold.asked.account).held -= amount;
        hold.remaining -= amount;
        hold.released += amount;
    }

    pub(super) fn expire(&mut self, name: &str) {
        let mut hold = self.holds.get(name).unwrap().clone();
        let time = self.touch(&hold.asked.account);
        let amount = hold.remaining;
        self.give_up(&mut hold, amount);
        hold.state = State::Expired;
        self.give_back(&hold.lent, amount, hold.captured == 0);
        hold.happened(Type::Expired, amount, time, "");
        self.put_hold(hold);
    }
}

pub(super) fn beyond(hold: &Hold, remaining: i128, requested: i128) -> Refusal {
    Refusal::new(Reason::CaptureExceedsHold)
        .with("hold", &hold.name)
        .with("remaining", major(remaining, hold.currency()))
        .with("requested", major(requested, hold.currency()))
}
