//! The decisions about holds.

use std::collections::BTreeSet;

use shared::money::{Money, Units};
use shared::time::Timestamp;

use super::limit::Use;
use super::posting::{Before, Captures, Special, admit, exceeds, in_currency_of};
use super::{
    AccountId, Act, Books, Capture, Collection, Counted, Direction, Extend, Force, Hold,
    HoldEventType, HoldId, HoldState, Increase, NewEntry, NewHold, NewTransaction, Override,
    Overrides, Place, PostedTransaction, Refusal, Release, TransactionId, What,
};

/// Events that a hold may have while it goes on; its end always passes.
const EVENTS_MAX: i32 = 1_000;

impl Books {
    /// Keeps an amount back.
    pub(crate) fn create_hold(&mut self, id: HoldId, new: &NewHold) -> Result<Hold, Refusal> {
        self.atomically(|books| {
            books.open_account(Place::Hold, new.account)?;
            if let Some(destination) = new.destination {
                // What forbids credits is asked when there is one.
                let destination = books.open_account(Place::Destination, destination)?;
                in_currency_of(destination, Place::Destination, new.amount)?;
            }
            if new.expire_time.is_some_and(|time| time <= books.now) {
                return Err(invalid("expire_time", "must be in the future"));
            }
            let chosen = new.id.is_some();
            books.claim_ids(Collection::Holds, id.uuid(), chosen, &new.external_ids)?;
            let ids = BTreeSet::from([new.account]);
            let record_time = books.record_time(&ids);
            let what = Keep { kind: &new.kind, count: 1, force: new.force.as_ref() };
            let counted = books.keep_back(new.account, new.amount, &what, record_time)?;
            if let Some(account) = books.accounts.get_mut(&new.account) {
                account.expect_expiry(new.expire_time);
            }
            let mut hold = hold(id, new, counted, record_time);
            let mut event = hold.event(HoldEventType::Created, new.amount.units, record_time);
            event.justify(new.force.as_ref());
            books.put_event(event);
            books.put_hold(hold.clone());
            Ok(hold)
        })
    }

    /// Keeps more back.
    pub(crate) fn increase_hold(&mut self, increase: &Increase) -> Result<Hold, Refusal> {
        self.atomically(|books| {
            let mut hold = books.open_hold(increase.hold, Overrides::default())?;
            let record_time = books.record_time(&BTreeSet::from([hold.account]));
            let (account, amount) = (hold.account, increase.amount);
            books.open_account(Place::Hold, account)?;
            let sum = |units: Units| units.checked_add(amount.units);
            let (Some(total), Some(remaining)) = (sum(hold.amount), sum(hold.remaining)) else {
                return Err(Refusal::Overflow { place: Place::Hold, account });
            };
            let what = Keep { kind: &hold.kind, count: 0, force: increase.force.as_ref() };
            let counted = books.keep_back(account, amount, &what, record_time)?;
            hold.add_counted(counted);
            (hold.amount, hold.remaining) = (total, remaining);
            let mut event = hold.event(HoldEventType::Increased, amount.units, record_time);
            event.justify(increase.force.as_ref());
            books.put_event(event);
            books.put_changed(&hold)?;
            Ok(hold)
        })
    }

    /// Moves the expiry to a later time.
    pub(crate) fn extend_hold(&mut self, extend: &Extend) -> Result<Hold, Refusal> {
        self.atomically(|books| {
            let mut hold = books.open_hold(extend.hold, Overrides::default())?;
            let is_later = match (hold.expire_time, extend.expire_time) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(old), Some(new)) => new > old,
            };
            if !is_later {
                return Err(invalid("expire_time", "must be later than that of the hold"));
            }
            hold.expire_time = extend.expire_time;
            let record_time = books.touch_account(hold.account);
            // The account looks for expired holds at the old time, finds none, and goes on.
            let event = hold.event(HoldEventType::Extended, Units::ZERO, record_time);
            books.put_event(event);
            books.put_changed(&hold)?;
            Ok(hold)
        })
    }

    /// Gives back what a hold keeps, or a part of it. Nothing stands against it.
    pub(crate) fn release_hold(&mut self, release: &Release) -> Result<Hold, Refusal> {
        self.atomically(|books| {
            let mut hold = books.open_hold(release.hold, Overrides::default())?;
            let amount = match release.amount {
                None => hold.remaining,
                Some(amount) => in_currency(&hold, amount)?.units,
            };
            if amount > hold.remaining {
                return Err(more_than(&hold, hold.remaining, amount));
            }
            let record_time = books.touch_account(hold.account);
            books.free_held(hold.account, amount);
            hold.give_up(amount);
            if hold.remaining == Units::ZERO {
                let captured = hold.captured > Units::ZERO;
                hold.state = if captured { HoldState::Captured } else { HoldState::Released };
            }
            books.give_back_counted(&mut hold, amount);
            let event = hold.event(HoldEventType::Released, amount, record_time);
            books.put_event(event);
            books.put_changed(&hold)?;
            Ok(hold)
        })
    }

    /// Posts what a hold has kept back.
    pub(crate) fn capture(
        &mut self,
        id: TransactionId,
        capture: &Capture,
    ) -> Result<(Hold, PostedTransaction), Refusal> {
        self.atomically(|books| {
            let mut hold = books.open_hold(capture.hold, capture.draft.overrides())?;
            let draft = books.capture_draft(&hold, capture)?;
            let taken = books.taken(&hold, &draft)?;
            if taken > hold.capturable() {
                return Err(more_than(&hold, hold.capturable(), taken));
            }
            let from_hold = taken.min(hold.remaining);
            hold.remaining = hold.remaining.checked_sub(from_hold).unwrap_or_default();
            hold.captured = hold.captured.checked_add(taken).unwrap_or(hold.captured);
            let rest = if capture.keep_open { Units::ZERO } else { hold.remaining };
            let captures = Captures {
                hold: hold.id,
                account: hold.account,
                is_open: hold.state == HoldState::Open,
                freed: from_hold.checked_add(rest).unwrap_or(from_hold),
                excess: taken.checked_sub(from_hold).unwrap_or_default(),
            };
            let special = Special { reverses: None, captures: Some(captures) };
            let posted = books.post_special(id, &draft, special)?;
            let mut event = hold.event(HoldEventType::Captured, taken, posted.record_time);
            event.transaction = Some(posted.id);
            event.overrides = draft.overrides();
            books.put_event(event);
            hold.give_up(rest);
            let is_over = !capture.keep_open || hold.capturable() == Units::ZERO;
            if hold.state == HoldState::Open && is_over {
                hold.state = HoldState::Captured;
            }
            if rest > Units::ZERO {
                books.give_back_counted(&mut hold, rest);
                let event = hold.event(HoldEventType::Released, rest, posted.record_time);
                books.put_event(event);
            }
            books.put_changed(&hold)?;
            Ok((hold, posted))
        })
    }

    /// Settles the holds of an account that have expired, and has it look again at `next`.
    pub(crate) fn expire(&mut self, account: AccountId, next: Option<Timestamp>) {
        let past = |hold: &&Hold| hold.account == account && hold.is_past(self.now);
        let expired: Vec<Hold> = self.holds.values().filter(past).cloned().collect();
        if expired.is_empty() {
            self.keep(&BTreeSet::from([account]));
        }
        for mut hold in expired {
            let record_time = self.touch_account(account);
            let amount = hold.remaining;
            self.free_held(account, amount);
            hold.give_up(amount);
            hold.state = HoldState::Expired;
            self.give_back_counted(&mut hold, amount);
            let event = hold.event(HoldEventType::Expired, amount, record_time);
            self.put_event(event);
            self.put_hold(hold);
        }
        if let Some(account) = self.accounts.get_mut(&account) {
            account.next_expiry = next;
        }
        self.settle();
    }

    /// A hold that something may still be asked of.
    fn open_hold(&self, id: HoldId, overrides: Overrides) -> Result<Hold, Refusal> {
        let hold = self.holds.get(&id).ok_or(Refusal::UnknownHold(id))?.clone();
        match hold.state {
            HoldState::Open => Ok(hold),
            HoldState::Expired if overrides.has(Override::HoldExpired) => Ok(hold),
            HoldState::Expired => {
                Err(Refusal::HoldExpired { hold: id, expire_time: hold.expire_time })
            }
            state => Err(Refusal::HoldFinished { hold: id, state }),
        }
    }

    /// Puts a hold that was changed into the books, unless it has changed too often.
    fn put_changed(&mut self, hold: &Hold) -> Result<(), Refusal> {
        let goes_on = matches!(hold.state, HoldState::Open | HoldState::Expired);
        if goes_on && hold.event_seq > EVENTS_MAX {
            let sentence = &format!("must be a hold of under {EVENTS_MAX} events");
            return Err(invalid("name", sentence));
        }
        self.put_hold(hold.clone());
        Ok(())
    }

    /// Keeps an amount back on an account, as far as controls, bound and limits let it pass.
    fn keep_back(
        &mut self,
        id: AccountId,
        amount: Money,
        what: &Keep<'_>,
        record_time: Timestamp,
    ) -> Result<Vec<Counted>, Refusal> {
        let (now, overrides) = (self.now, overrides(what.force));
        self.keep(&BTreeSet::from([id]));
        let Some(account) = self.accounts.get_mut(&id) else {
            return Err(Refusal::UnknownAccount { place: Place::Hold, account: id });
        };
        admit(account, Place::Hold, amount, Act::Hold, overrides, now)?;
        let before = Before::of(account, now);
        let overflow = Refusal::Overflow { place: Place::Hold, account: id };
        account.held = account.held.checked_add(amount.units).ok_or(overflow)?;
        let overridden = overrides.has(Override::Funds);
        if !overridden && let Some(refusal) = exceeds(account, &before, now) {
            return Err(refusal(Place::Hold));
        }
        account.record_excess(overridden);
        account.touch(record_time);
        let (kind, count) = (what.kind, what.count);
        let counts = Use { act: Act::Hold, kind, amount: amount.units, count };
        self.count(Place::Hold, id, counts, overrides.has(Override::Limits))
    }

    /// Records that an account has changed, and gives the time.
    fn touch_account(&mut self, id: AccountId) -> Timestamp {
        let ids = BTreeSet::from([id]);
        let record_time = self.record_time(&ids);
        self.keep(&ids);
        if let Some(account) = self.accounts.get_mut(&id) {
            account.touch(record_time);
        }
        record_time
    }

    fn free_held(&mut self, id: AccountId, amount: Units) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.held = account.held.checked_sub(amount).unwrap_or_default();
            account.record_excess(false);
        }
    }

    /// Gives limits back what they have counted for a part of a hold.
    fn give_back_counted(&mut self, hold: &mut Hold, amount: Units) {
        for counted in hold.take_counted(amount) {
            self.give_back(&counted);
        }
    }

    /// What a capture posts: its own entries, or one amount from the account to the destination.
    fn capture_draft(&self, hold: &Hold, capture: &Capture) -> Result<NewTransaction, Refusal> {
        let mut draft = capture.draft.clone();
        let amount = match capture.what {
            What::Entries => return Ok(draft),
            What::Remaining if hold.remaining == Units::ZERO => {
                return Err(invalid("amount", "must be given: nothing remains of the hold"));
            }
            What::Remaining => hold.money(hold.remaining),
            What::Amount(amount) => in_currency(hold, amount)?,
        };
        let Some(destination) = hold.destination else {
            return Err(invalid("entries", "must be given: the hold has no destination"));
        };
        let account = self.open_account(Place::Entry(0), hold.account)?;
        let (from, to) = match account.class.normal_side() {
            Direction::Debit => (Direction::Credit, Direction::Debit),
            Direction::Credit => (Direction::Debit, Direction::Credit),
        };
        draft.entries = vec![
            NewEntry::plain(hold.account, from, amount),
            NewEntry::plain(destination, to, amount),
        ];
        Ok(draft)
    }

    /// What the entries of a capture take from the account of the hold, on balance.
    fn taken(&self, hold: &Hold, draft: &NewTransaction) -> Result<Units, Refusal> {
        let account = self.open_account(Place::Entry(0), hold.account)?;
        let mut taken = Some(Units::ZERO);
        for (index, entry) in draft.entries.iter().enumerate() {
            if entry.account != hold.account {
                continue;
            }
            in_currency_of(account, Place::Entry(index), entry.amount)?;
            taken = taken.and_then(|sum| match account.act(entry.direction) {
                Act::Credit => sum.checked_sub(entry.amount.units),
                _ => sum.checked_add(entry.amount.units),
            });
        }
        match taken {
            Some(taken) if taken > Units::ZERO => Ok(taken),
            _ => Err(invalid("entries", "must take something from the account of the hold")),
        }
    }
}

/// What is to be kept back for what.
struct Keep<'a> {
    kind: &'a str,
    count: i64,
    force: Option<&'a Force>,
}

fn overrides(force: Option<&Force>) -> Overrides {
    force.map_or(Overrides::default(), |force| force.overrides)
}

fn hold(id: HoldId, new: &NewHold, counted: Vec<Counted>, record_time: Timestamp) -> Hold {
    Hold {
        id,
        account: new.account,
        destination: new.destination,
        kind: new.kind.clone(),
        currency: new.amount.currency,
        amount: new.amount.units,
        over_capture: new.over_capture.map_or(Units::ZERO, |money| money.units),
        remaining: new.amount.units,
        captured: Units::ZERO,
        released: Units::ZERO,
        state: HoldState::Open,
        expire_time: new.expire_time,
        counted,
        event_seq: 0,
        create_time: record_time,
        record_time,
        description: new.description.clone(),
        external_ids: new.external_ids.clone(),
        force: new.force.clone(),
    }
}

fn invalid(field: &str, sentence: &str) -> Refusal {
    Refusal::Invalid { field: field.to_owned(), sentence: sentence.to_owned() }
}

fn in_currency(hold: &Hold, amount: Money) -> Result<Money, Refusal> {
    if amount.currency == hold.currency {
        return Ok(amount);
    }
    Err(Refusal::CurrencyMismatch {
        field: "amount.currency".to_owned(),
        of: hold.id.name(),
        found: amount,
        expected: hold.currency.code().to_owned(),
    })
}

fn more_than(hold: &Hold, remaining: Units, requested: Units) -> Refusal {
    let (remaining, requested) = (hold.money(remaining), hold.money(requested));
    Refusal::CaptureExceeds { hold: hold.id, remaining, requested }
}

#[cfg(test)]
#[path = "holding_tests.rs"]
mod tests;
