//! How the reference captures.

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction;
use wire::hold::State;
use wire::hold_event::Type;

use super::call::Refusal;
use super::hold::Hold;
use super::holding::beyond;
use super::money::{known, money};
use super::posting::Captured;
use super::reference::{Against, Reference};
use super::time::micros;

impl Reference {
    pub(super) fn capture(
        &mut self,
        name: &str,
        request: &wire::CaptureHoldRequest,
    ) -> Result<(wire::Hold, wire::Transaction), Against> {
        let mut hold = self.open_hold(&request.name, request.force.as_ref())?;
        let entries = self.captured_entries(&hold, request)?;
        let account = self.accounts.get(&hold.asked.account).unwrap();
        let own = entries.iter().filter(|entry| entry.account == hold.asked.account);
        let signed = |entry: &wire::Entry| match entry.direction() == account.lowering() {
            true => known(entry.amount.as_ref()),
            false => -known(entry.amount.as_ref()),
        };
        let taken: i128 = own.map(signed).sum();
        if taken <= 0 {
            return Err(vec![Refusal::new(Reason::FieldInvalid)]);
        }
        if taken > hold.capturable() {
            return Err(vec![beyond(&hold, hold.capturable(), taken)]);
        }
        let from_hold = taken.min(hold.remaining);
        let rest = if request.keep_open { 0 } else { hold.remaining - from_hold };
        let captured = Captured {
            account: hold.asked.account.clone(),
            is_open: hold.state == State::Open,
            freed: from_hold + rest,
            beyond: taken - from_hold,
        };
        let transaction = super::decide::drafted(request, entries);
        let posted =
            self.post(name, !request.transaction_id.is_empty(), transaction, Some(&captured))?;
        let time = micros(posted.record_time.as_ref().unwrap());
        hold.remaining -= from_hold;
        hold.captured += taken;
        hold.happened(Type::Captured, taken, time, name);
        // Why it was forced stands with the transaction.
        let reason = String::new();
        hold.forced(request.force.clone().map(|force| wire::Force { reason, ..force }));
        hold.remaining -= rest;
        hold.released += rest;
        if hold.state == State::Open && (!request.keep_open || hold.capturable() == 0) {
            hold.state = State::Captured;
        }
        if rest > 0 {
            self.give_back(&hold.lent, rest, false);
            hold.happened(Type::Released, rest, time, "");
        }
        Ok((self.put_hold(hold), posted))
    }

    /// The entries that a capture brings, or those of the amount that it takes.
    fn captured_entries(
        &self,
        hold: &Hold,
        request: &wire::CaptureHoldRequest,
    ) -> Result<Vec<wire::Entry>, Against> {
        let invalid = || vec![Refusal::new(Reason::FieldInvalid)];
        if !request.entries.is_empty() {
            let closed = self.inaccessible(&hold.asked.account);
            return closed.map_or_else(|| Ok(request.entries.clone()), |closed| Err(vec![closed]));
        }
        let amount = match &request.amount {
            None if hold.remaining == 0 => return Err(invalid()),
            None => money(hold.remaining, hold.currency()),
            Some(amount) if amount.currency == hold.currency() => amount.clone(),
            Some(_) => return Err(vec![Refusal::new(Reason::CurrencyMismatch)]),
        };
        if hold.asked.destination.is_empty() {
            return Err(invalid());
        }
        if let Some(closed) = self.inaccessible(&hold.asked.account) {
            return Err(vec![closed]);
        }
        let lowering = self.accounts.get(&hold.asked.account).unwrap().lowering();
        let other = match lowering {
            Direction::Debit => Direction::Credit,
            _ => Direction::Debit,
        };
        let entry = |account: &String, direction: Direction| wire::Entry {
            account: account.clone(),
            direction: direction.into(),
            amount: Some(amount.clone()),
            ..Default::default()
        };
        Ok(vec![entry(&hold.asked.account, lowering), entry(&hold.asked.destination, other)])
    }
}
