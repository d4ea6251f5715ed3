//! Random reversals, whole and in part.

use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;

use super::super::money::{known, major};
use super::super::reference::Reference;
use super::{Generator, Taken, share};

impl Generator {
    pub(super) fn reversal(&mut self, reference: &Reference) -> wire::ReverseTransactionRequest {
        let extras = self.extras(reference);
        let name = match self.posted.len() {
            0 => format!("transactions/{}", self.rng.uuid()),
            count => {
                let back = self.rng.below(count.min(30));
                self.posted[count - 1 - back].clone()
            }
        };
        wire::ReverseTransactionRequest {
            parts: self.parts(reference, &name),
            name,
            description: extras.description,
            labels: extras.labels,
            effective_time: extras.effective_time,
            evidence: extras.evidence,
            external_ids: extras.external_ids,
            group_id: extras.group_id,
            force: extras.force,
            transaction_id: self.new_id(Taken::Transactions),
            request_id: self.request_id(),
            ..Default::default()
        }
    }

    /// Nothing, or a part of a debit and as much of a credit.
    fn parts(&mut self, reference: &Reference, name: &str) -> Vec<wire::ReversalPart> {
        let Some(original) = reference.transactions.get(name) else { return Vec::new() };
        if self.rng.percent(55) {
            return Vec::new();
        }
        let entries = &original.transaction.entries;
        let all: Vec<usize> = (0..entries.len()).collect();
        let debit = *self.rng.pick(&all);
        let money = entries[debit].amount.clone().unwrap();
        let is_opposite = |index: &&usize| {
            let entry = &entries[**index];
            entry.direction != entries[debit].direction
                && entry.amount.as_ref().unwrap().currency == money.currency
        };
        let Some(credit) = all.iter().find(is_opposite) else { return Vec::new() };
        let units = |place: usize| known(entries[place].amount.as_ref());
        let most = units(debit).min(units(*credit));
        let part = share(most, self.rng.between(10, 110)).max(1);
        let wrong = i128::from(self.rng.below(60) == 0);
        let mut parts = vec![(debit, part), (*credit, part + wrong)];
        if self.rng.below(60) == 0 {
            parts.push((entries.len() + 3, part));
        }
        let part = |(place, units)| wire::ReversalPart {
            entry_index: i32::try_from(place).unwrap(),
            amount: Some(Money {
                currency: money.currency.clone(),
                amount: major(units, &money.currency),
            }),
        };
        parts.into_iter().map(part).collect()
    }
}
