//! What the reference makes of an order, whatever way it comes.

use shared::problem::Reason;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction;

use super::call::{Made, Order, Refusal};
use super::money::{known, money, units};
use super::reference::{Against, Reference};
use super::time::micros;

fn default(kind: &str, otherwise: &str) -> String {
    if kind.is_empty() { otherwise.to_owned() } else { kind.to_owned() }
}

/// What a capture posts.
pub(super) fn drafted(
    request: &wire::CaptureHoldRequest,
    entries: Vec<wire::Entry>,
) -> wire::Transaction {
    let request = request.clone();
    wire::Transaction {
        r#type: default(&request.r#type, "CAPTURE"),
        entries,
        description: request.description,
        labels: request.labels,
        effective_time: request.effective_time,
        links: request.links,
        evidence: request.evidence,
        external_ids: request.external_ids,
        group_id: request.group_id,
        force: request.force,
        hold: request.name,
        ..Default::default()
    }
}

/// What a transfer posts.
fn transferred(request: &wire::CreateTransferRequest) -> wire::Transaction {
    let request = request.clone();
    let entry = |account: &str, direction: Direction| wire::Entry {
        account: account.to_owned(),
        direction: direction.into(),
        amount: request.amount.clone(),
        ..Default::default()
    };
    wire::Transaction {
        r#type: default(&request.r#type, "TRANSFER"),
        entries: vec![
            entry(&request.from, Direction::Debit),
            entry(&request.to, Direction::Credit),
        ],
        description: request.description,
        labels: request.labels,
        effective_time: request.effective_time,
        links: request.links,
        evidence: request.evidence,
        external_ids: request.external_ids,
        group_id: request.group_id,
        force: request.force,
        ..Default::default()
    }
}

impl Reference {
    /// Decides an order that is well formed. `name` is what the new resource is called, where there
    /// is one.
    pub(super) fn decide(&mut self, order: &Order, name: &str) -> Result<Made, Against> {
        let is_chosen = !order.chosen().is_empty();
        match order {
            Order::Transaction(request) => {
                let transaction = request.transaction.clone().unwrap();
                self.post(name, is_chosen, transaction, None).map(Made::Transaction)
            }
            Order::Transfer(request) => {
                self.post(name, is_chosen, transferred(request), None).map(Made::Transaction)
            }
            Order::Reversal(request) => {
                let transaction = self.opposite(request)?;
                self.post(name, is_chosen, transaction, None).map(Made::Transaction)
            }
            Order::Hold(request) => self.create_hold(name, request).map(Made::Hold),
            Order::Capture(request) => {
                let captured = self.capture(name, request);
                captured.map(|(hold, posted)| Made::Capture(Box::new(hold), Box::new(posted)))
            }
            Order::Release(request) => self.release_hold(request).map(Made::Hold),
            Order::Extend(request) => self.extend_hold(request).map(Made::Hold),
            Order::Increase(request) => self.increase_hold(request).map(Made::Hold),
        }
    }

    /// What a reversal posts.
    fn opposite(
        &self,
        request: &wire::ReverseTransactionRequest,
    ) -> Result<wire::Transaction, Against> {
        let Some(original) = self.transactions.get(&request.name) else {
            return Err(vec![Refusal::new(Reason::ResourceNotFound).with("name", &request.name)]);
        };
        let original = &original.transaction;
        if !original.reverses.is_empty() {
            let refusal = Refusal::new(Reason::InvalidTransition);
            return Err(vec![refusal.with("transaction", &request.name)]);
        }
        let whole = (0..).zip(&original.entries).map(|(entry_index, entry)| wire::ReversalPart {
            entry_index,
            amount: entry.amount.clone(),
        });
        let parts = if request.parts.is_empty() { whole.collect() } else { request.parts.clone() };
        let (mut entries, mut links) = (Vec::new(), Vec::new());
        for part in parts {
            let place = usize::try_from(part.entry_index).unwrap();
            let Some(entry) = original.entries.get(place) else {
                return Err(vec![Refusal::new(Reason::FieldInvalid)]);
            };
            let direction = match entry.direction() {
                Direction::Debit => Direction::Credit,
                _ => Direction::Debit,
            };
            entries.push(wire::Entry {
                account: entry.account.clone(),
                direction: direction.into(),
                amount: part.amount.clone(),
                ..Default::default()
            });
            links.push(wire::Link {
                r#type: wire::link::Type::ReversalOf.into(),
                transaction: request.name.clone(),
                entry_index: part.entry_index,
                amount: part.amount,
            });
        }
        let unbalanced = unbalanced(&entries);
        if !unbalanced.is_empty() {
            return Err(unbalanced);
        }
        let request = request.clone();
        Ok(wire::Transaction {
            r#type: default(&request.r#type, "REVERSAL"),
            entries,
            links,
            description: request.description,
            labels: request.labels,
            effective_time: request.effective_time,
            evidence: request.evidence,
            external_ids: request.external_ids,
            group_id: request.group_id,
            force: request.force,
            reverses: request.name,
            ..Default::default()
        })
    }

    /// What is wrong with an order whatever the books say.
    pub(super) fn malformed(&self, order: &Order) -> Against {
        let (entries, amounts, effective) = match order {
            Order::Transaction(request) => {
                let transaction = request.transaction.as_ref().unwrap();
                (&transaction.entries[..], vec![], &transaction.effective_time)
            }
            Order::Transfer(request) => (&[][..], vec![&request.amount], &request.effective_time),
            Order::Reversal(request) => {
                let parts = request.parts.iter().map(|part| &part.amount).collect();
                (&[][..], parts, &request.effective_time)
            }
            Order::Capture(request) => {
                (&request.entries[..], vec![&request.amount], &request.effective_time)
            }
            Order::Hold(request) => (&[][..], vec![&request.hold.as_ref().unwrap().amount], &None),
            Order::Release(request) => (&[][..], vec![&request.amount], &None),
            Order::Increase(request) => (&[][..], vec![&request.amount], &None),
            Order::Extend(_) => (&[][..], vec![], &None),
        };
        let own = entries.iter().map(|entry| &entry.amount);
        let wrong = own.chain(amounts).flatten().filter_map(unusable);
        let mut against: Against = wrong.collect();
        if against.is_empty() {
            against.extend(unbalanced(entries));
        }
        if effective.as_ref().is_some_and(|time| micros(time) > self.now) {
            against.push(Refusal::new(Reason::FieldInvalid));
        }
        against
    }
}

/// Why an amount cannot be used.
fn unusable(amount: &Money) -> Option<Refusal> {
    match units(amount) {
        None => Some(Refusal::new(Reason::PrecisionExceeded)),
        Some(..=0) => Some(Refusal::new(Reason::FieldInvalid)),
        Some(_) => None,
    }
}

/// The currencies whose debits and credits differ.
fn unbalanced(entries: &[wire::Entry]) -> Against {
    let mut sums: std::collections::BTreeMap<&str, [i128; 2]> = std::collections::BTreeMap::new();
    for entry in entries {
        let side = usize::from(entry.direction() == Direction::Credit);
        let currency = entry.amount.as_ref().unwrap().currency.as_str();
        sums.entry(currency).or_default()[side] += known(entry.amount.as_ref());
    }
    let unequal = sums.into_iter().filter(|(_, [debits, credits])| debits != credits);
    let refusal = |(currency, [debits, credits]): (&str, [i128; 2])| {
        Refusal::new(Reason::Unbalanced)
            .with("currency", currency)
            .with("debits", money(debits, currency).amount)
            .with("credits", money(credits, currency).amount)
    };
    unequal.map(refusal).collect()
}
