//! Random holds, and what is done with them.

use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction;

use super::super::hold::Hold;
use super::super::money::money;
use super::super::reference::Reference;
use super::super::time::{HOUR, wire_time};
use super::{Generator, Taken, share};

impl Generator {
    pub(super) fn hold(&mut self, reference: &Reference) -> wire::CreateHoldRequest {
        let currency = self.currency();
        let account = self.account(reference, currency);
        let mut destination = match self.rng.below(100) {
            0..12 => String::new(),
            12..14 => self.account(reference, "JPY"),
            _ => self.account(reference, currency),
        };
        if destination == account {
            destination.clear();
        }
        let over = match self.rng.percent(30) {
            true => Some(self.units(currency, 60)),
            false => None,
        };
        let hold = wire::Hold {
            account,
            destination,
            amount: Some(self.amount(currency)),
            over_capture: over.map(|units| money(units, currency)),
            r#type: if self.rng.percent(50) { String::new() } else { self.kind() },
            expire_time: self.expiry(reference.now),
            external_ids: self.external_ids(),
            description: if self.rng.percent(5) { "lunch".to_owned() } else { String::new() },
            force: self.force(5),
            ..Default::default()
        };
        wire::CreateHoldRequest {
            hold: Some(hold),
            hold_id: self.new_id(Taken::Holds),
            request_id: self.request_id(),
            validate_only: false,
        }
    }

    /// Soon, late, never, and in the past.
    fn expiry(&mut self, now: i64) -> Option<prost_types::Timestamp> {
        match self.rng.below(100) {
            0..25 => None,
            25 => Some(wire_time(now)),
            26..60 => Some(wire_time(now + self.rng.between(1, 6 * HOUR))),
            _ => Some(wire_time(now + self.rng.between(HOUR, 90 * HOUR))),
        }
    }

    /// Mostly one that is open.
    fn some_hold<'a>(&mut self, reference: &'a Reference) -> Option<&'a Hold> {
        let open: Vec<&Hold> = reference.recent_holds().collect();
        if !open.is_empty() && (self.held.is_empty() || self.rng.percent(92)) {
            return Some(*self.rng.pick(&open));
        }
        let name = (!self.held.is_empty()).then(|| self.rng.pick(&self.held))?;
        reference.holds.get(name)
    }

    /// Its name, or that of none.
    fn name(&mut self, hold: Option<&Hold>) -> String {
        match hold {
            Some(hold) if self.rng.below(200) > 0 => hold.name.clone(),
            _ => format!("holds/{}", self.rng.uuid()),
        }
    }

    /// An amount about as large as what a hold keeps, or smaller.
    fn part_of(&mut self, hold: Option<&Hold>) -> Money {
        let Some(hold) = hold else { return self.amount("EUR") };
        if self.rng.below(100) == 0 {
            let currency = self.currency();
            return self.amount(currency);
        }
        let percent = match self.rng.percent(75) {
            true => self.rng.between(5, 95),
            false => self.rng.between(95, 140),
        };
        let units = share(hold.remaining, percent).max(1);
        self.money(hold.currency(), units)
    }

    pub(super) fn capture(&mut self, reference: &Reference) -> wire::CaptureHoldRequest {
        let extras = self.extras(reference);
        let hold = self.some_hold(reference);
        let mut request = wire::CaptureHoldRequest {
            name: self.name(hold),
            keep_open: self.rng.percent(30),
            r#type: if self.rng.percent(50) { String::new() } else { self.kind() },
            description: extras.description,
            labels: extras.labels,
            effective_time: extras.effective_time,
            links: extras.links,
            evidence: extras.evidence,
            external_ids: extras.external_ids,
            group_id: extras.group_id,
            force: extras.force,
            transaction_id: self.new_id(Taken::Transactions),
            request_id: self.request_id(),
            ..Default::default()
        };
        match self.rng.below(10) {
            0..4 => {}
            4..7 => request.amount = Some(self.part_of(hold)),
            _ => request.entries = self.own_entries(reference, hold),
        }
        request
    }

    /// What a capture posts by itself: net to one, fee to another, and something back at times.
    fn own_entries(&mut self, reference: &Reference, hold: Option<&Hold>) -> Vec<wire::Entry> {
        let Some(hold) = hold else { return Vec::new() };
        let currency = hold.currency().to_owned();
        let account = reference.accounts.get(&hold.asked.account).unwrap();
        let lowering = account.lowering();
        let raising = match lowering {
            Direction::Debit => Direction::Credit,
            _ => Direction::Debit,
        };
        let whole = share(hold.remaining, self.rng.between(20, 110)).max(3);
        let fee = (whole / 10).max(1);
        let mut parts = vec![
            (hold.asked.account.clone(), lowering, whole),
            (self.account(reference, &currency), raising, whole - fee),
            (self.account(reference, &currency), raising, fee),
        ];
        if self.rng.percent(15) {
            parts.push((hold.asked.account.clone(), raising, fee));
            parts.push((self.account(reference, &currency), lowering, fee));
        }
        if self.rng.below(40) == 0 {
            // Nothing of the hold's own account.
            parts[0].0 = self.account(reference, &currency);
        }
        let entry = |(account, direction, units): (String, Direction, i128)| wire::Entry {
            account,
            direction: direction.into(),
            amount: Some(self.money(&currency, units)),
            ..Default::default()
        };
        parts.into_iter().map(entry).collect()
    }

    pub(super) fn release(&mut self, reference: &Reference) -> wire::ReleaseHoldRequest {
        let hold = self.some_hold(reference);
        wire::ReleaseHoldRequest {
            name: self.name(hold),
            amount: self.rng.percent(50).then(|| self.part_of(hold)),
            request_id: self.request_id(),
            validate_only: false,
        }
    }

    pub(super) fn extend(&mut self, reference: &Reference) -> wire::ExtendHoldRequest {
        let hold = self.some_hold(reference);
        let old = hold.and_then(|hold| hold.expires).unwrap_or(reference.now);
        let new = match self.rng.below(100) {
            0..10 => None,
            10..20 => Some(wire_time(old)),
            _ => Some(wire_time(old + self.rng.between(1, 48 * HOUR))),
        };
        wire::ExtendHoldRequest {
            name: self.name(hold),
            expire_time: new,
            request_id: self.request_id(),
            validate_only: false,
        }
    }

    pub(super) fn increase(&mut self, reference: &Reference) -> wire::IncreaseHoldRequest {
        let hold = self.some_hold(reference);
        let currency = hold.map_or("EUR", Hold::currency).to_owned();
        wire::IncreaseHoldRequest {
            name: self.name(hold),
            amount: Some(self.amount(&currency)),
            force: self.force(5),
            request_id: self.request_id(),
            validate_only: false,
        }
    }
}
