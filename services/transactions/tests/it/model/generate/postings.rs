//! Random postings.

use std::collections::BTreeMap;

use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};
use wire::link::Type;

use super::super::money::{known, money};
use super::super::reference::Reference;
use super::super::time::{HOUR, SECOND, wire_time};
use super::{Generator, Taken, share};

const TYPES: [&str; 4] = ["PAYMENT", "FEE", "TOPUP", "CARD"];

impl Generator {
    pub(super) fn kind(&mut self) -> String {
        (*self.rng.pick(&TYPES)).to_owned()
    }

    /// What a posting may have beside its entries.
    pub(super) fn extras(&mut self, reference: &Reference) -> wire::Transaction {
        let mut extras = wire::Transaction { force: self.force(7), ..Default::default() };
        if self.rng.percent(10) {
            "a text, née ‘texte’".clone_into(&mut extras.description);
            extras.labels = [("channel".to_owned(), "app".to_owned())].into();
        }
        if self.rng.percent(12) {
            let back = self.rng.between(0, 80) * HOUR + self.rng.between(0, 3_000_000);
            extras.effective_time = Some(wire_time(reference.now - back));
        } else if self.rng.below(200) == 0 {
            extras.effective_time = Some(wire_time(reference.now + SECOND));
        }
        extras.external_ids = self.external_ids();
        if self.rng.percent(10) {
            extras.group_id = format!("{}.run:{}", self.prefix, self.rng.below(9));
        }
        if self.rng.percent(5) {
            let version = self.rng.between(1, 9);
            extras.evidence = vec![format!("records/{}/versions/{version}", self.rng.uuid())];
        }
        while self.rng.percent(12) && extras.links.len() < 3 {
            extras.links.extend(self.link(reference));
        }
        extras
    }

    /// From a pool that is soon used up.
    pub(super) fn external_ids(&mut self) -> BTreeMap<String, String> {
        let mut ids = BTreeMap::new();
        for kind in ["PSP", "ARN"] {
            if self.rng.percent(5) {
                let value = format!("{}/{}", self.prefix, self.rng.below(500));
                ids.insert(kind.to_owned(), value);
            }
        }
        ids
    }

    /// A tie to something that was posted: mostly to a part of it.
    fn link(&mut self, reference: &Reference) -> Option<wire::Link> {
        if self.posted.is_empty() {
            return None;
        }
        // The latest ones more often, so that some are used up.
        let latest = self.posted.len().min(if self.rng.percent(70) { 10 } else { usize::MAX });
        let back = self.rng.below(latest);
        let name = self.posted[self.posted.len() - 1 - back].clone();
        let entries = &reference.transactions.get(&name)?.transaction.entries;
        let place = self.rng.below(entries.len());
        let whole = entries[place].amount.clone().unwrap();
        let units = known(Some(&whole));
        let part = match self.rng.below(10) {
            0..3 => units,
            3 => units + 1,
            _ => share(units, self.rng.between(5, 60)) + 1,
        };
        let kind = match self.rng.below(5) {
            0..2 => Type::RefundOf,
            2 => Type::ChargebackOf,
            3 => Type::Corrects,
            _ => Type::FeeOf,
        };
        let (mut transaction, mut entry_index) = (name, i32::try_from(place).unwrap());
        let mut amount = self.money(&whole.currency, part);
        match self.rng.below(100) {
            0 => transaction = format!("transactions/{}", self.rng.uuid()),
            1 => entry_index += 7,
            2 => amount = self.amount("JPY"),
            _ => {}
        }
        Some(wire::Link {
            r#type: kind.into(),
            transaction,
            entry_index,
            amount: Some(amount).filter(super::is_usable),
        })
        .filter(|link| link.amount.is_some())
    }

    /// Often one that brings money, so that there is some.
    pub(super) fn some_transfer(&mut self, reference: &Reference) -> wire::CreateTransferRequest {
        let mut transfer = self.transfer(reference);
        if !self.giants.is_empty() && self.rng.below(40) == 0 {
            let units = (i128::from(self.rng.next()) << 61) + 1;
            transfer.amount = Some(money(units, "POINTS"));
            let first = self.rng.below(2);
            transfer.from.clone_from(&self.giants[first]);
            transfer.to.clone_from(&self.giants[1 - first]);
        } else if self.rng.percent(40)
            && let Some(account) = reference.accounts.get(&transfer.to)
        {
            let is_of = |name: &&String| {
                reference.accounts.get(name).unwrap().currency() == account.currency()
            };
            let house = self.houses.iter().find(is_of).unwrap();
            if account.lowering() == Debit && *house != transfer.to {
                transfer.from.clone_from(house);
            } else if *house != transfer.to {
                (transfer.from, transfer.to) = (transfer.to, house.clone());
            }
        }
        transfer
    }

    pub(super) fn transfer(&mut self, reference: &Reference) -> wire::CreateTransferRequest {
        let extras = self.extras(reference);
        let currency = self.currency();
        let from = self.account(reference, currency);
        let mut to = self.account(reference, currency);
        while to == from {
            to = self.account(reference, currency);
        }
        wire::CreateTransferRequest {
            from,
            to,
            amount: Some(self.amount(currency)),
            r#type: if self.rng.percent(50) { String::new() } else { self.kind() },
            description: extras.description,
            labels: extras.labels,
            effective_time: extras.effective_time,
            transaction_id: self.new_id(Taken::Transactions),
            request_id: self.request_id(),
            links: extras.links,
            evidence: extras.evidence,
            external_ids: extras.external_ids,
            group_id: extras.group_id,
            force: extras.force,
            ..Default::default()
        }
    }

    pub(super) fn transaction(&mut self, reference: &Reference) -> wire::CreateTransactionRequest {
        let mut transaction = self.extras(reference);
        transaction.r#type = self.kind();
        let currency = self.currency();
        let count = 2 + self.rng.below(4);
        transaction.entries = self.entries(reference, currency, count);
        if self.rng.percent(20) {
            let currency = self.currency();
            transaction.entries.extend(self.entries(reference, currency, 2));
        }
        for entry in &mut transaction.entries {
            self.conditions(reference, entry);
        }
        wire::CreateTransactionRequest {
            transaction: Some(transaction),
            transaction_id: self.new_id(Taken::Transactions),
            request_id: self.request_id(),
            validate_only: false,
        }
    }

    /// So many entries of one currency that balance, but for a few.
    fn entries(&mut self, reference: &Reference, currency: &str, count: usize) -> Vec<wire::Entry> {
        let most = 300;
        let debits = 1 + self.rng.below(count - 1);
        let mut amounts: Vec<i128> = (1..count).map(|_| self.units(currency, most)).collect();
        // The last one of the smaller side takes what is left.
        let (left, right) = amounts.split_at(debits.min(count - 1));
        let difference = left.iter().sum::<i128>() - right.iter().sum::<i128>();
        if difference > 0 {
            amounts.push(difference);
        } else {
            amounts[0] += 1 - difference;
            amounts.push(1);
        }
        if self.rng.below(100) == 0 {
            amounts[0] += 1;
        }
        let entry = |(index, units): (usize, i128)| {
            let direction = if index < debits { Debit } else { Credit };
            wire::Entry {
                account: self.account(reference, currency),
                direction: direction.into(),
                amount: Some(self.money(currency, units)),
                memo: if self.rng.percent(5) { "a note".to_owned() } else { String::new() },
                ..Default::default()
            }
        };
        amounts.into_iter().enumerate().map(entry).collect()
    }

    fn conditions(&mut self, reference: &Reference, entry: &mut wire::Entry) {
        let Some(account) = reference.accounts.get(&entry.account) else { return };
        if !self.is_own(&entry.account) {
            return;
        }
        if self.rng.percent(3) {
            // Others may record what has expired, so a version is only certain for one alone.
            let is_right = self.is_alone && self.rng.percent(70);
            entry.expected_version = account.version + if is_right { 0 } else { 1_000_000 };
        }
        if self.rng.percent(4) {
            let left = account.free(reference.now) + i128::from(self.rng.between(-200, 200));
            let least = if left < 0 { 0 } else { left };
            let currency = if self.rng.below(40) == 0 { "JPY" } else { account.currency() };
            entry.min_available_after = match currency == account.currency() {
                true => Some(money(least, currency)),
                false => Some(money(1, currency)),
            };
        }
    }
}
