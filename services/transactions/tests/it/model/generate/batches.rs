//! Random batches of everything that may be an item.

use strongroom_proto::transactions::v1 as wire;
use wire::BatchMode;

use super::super::call::{Call, Order};
use super::super::reference::Reference;
use super::{Generator, Taken};

impl Generator {
    pub(super) fn batch(&mut self, reference: &Reference) -> wire::ExecuteBatchRequest {
        let is_whole = self.rng.percent(55);
        let mut orders = Vec::new();
        for _ in 0..=self.rng.below(4) {
            if self.rng.percent(30) {
                orders.extend(self.pair(reference));
            } else {
                orders.push(self.order(reference));
            }
        }
        if !is_whole && self.rng.percent(20) {
            orders.extend(self.earlier());
        }
        let mut request =
            wire::ExecuteBatchRequest { validate_only: self.rng.percent(4), ..Default::default() };
        request.set_mode(BatchMode::Independent);
        if is_whole {
            request.set_mode(BatchMode::AllOrNothing);
            request.request_id = self.request_id();
        }
        if self.rng.percent(30) {
            request.group_id = format!("{}.batch", self.prefix);
        }
        if self.rng.percent(30) {
            request.set_priority(wire::Priority::Bulk);
        }
        // One that is only validated may or may not see those that stand beside it.
        orders.retain(|order| !order.is_dry());
        if is_whole {
            for order in &mut orders {
                order.set_request_id("");
            }
        }
        request.items = orders.into_iter().filter_map(Order::item).collect();
        if request.items.is_empty() {
            let mut order = Order::Transfer(self.transfer(reference));
            if is_whole {
                order.set_request_id("");
            }
            request.items.extend(order.item());
        }
        request
    }

    /// Something, and what is done with it at once: only the batch can name it already.
    fn pair(&mut self, reference: &Reference) -> Vec<Order> {
        let id = self.rng.uuid().to_string();
        if self.rng.percent(60) {
            let mut hold = self.hold(reference);
            hold.hold_id.clone_from(&id);
            let name = format!("holds/{id}");
            let next = if self.rng.percent(70) {
                let mut capture = self.capture(reference);
                (capture.name, capture.amount) = (name, None);
                capture.entries.clear();
                Order::Capture(capture)
            } else {
                let mut release = self.release(reference);
                (release.name, release.amount) = (name, None);
                Order::Release(release)
            };
            return vec![Order::Hold(hold), next];
        }
        let mut transfer = self.transfer(reference);
        transfer.transaction_id.clone_from(&id);
        let name = format!("transactions/{id}");
        let next = if self.rng.percent(50) {
            let mut reversal = self.reversal(reference);
            reversal.name = name;
            reversal.parts.clear();
            Order::Reversal(reversal)
        } else {
            let mut refund = self.transfer(reference);
            refund.transaction_id = self.new_id(Taken::Transactions);
            refund.links = vec![wire::Link {
                r#type: wire::link::Type::RefundOf.into(),
                transaction: name,
                entry_index: 0,
                amount: transfer.amount.clone().filter(super::is_usable),
            }];
            refund.links.retain(|link| link.amount.is_some());
            Order::Transfer(refund)
        };
        vec![Order::Transfer(transfer), next]
    }

    /// An earlier order once more.
    fn earlier(&mut self) -> Option<Order> {
        if self.history.is_empty() {
            return None;
        }
        match self.rng.pick(&self.history) {
            Call::One(order) if !order.is_dry() => Some(*order.clone()),
            _ => None,
        }
    }
}
