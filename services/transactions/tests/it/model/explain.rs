//! What a balance is made of, as the reference has it.

use strongroom_proto::transactions::v1 as wire;

use super::limits::list;
use super::money::money;
use super::reference::Reference;

impl Reference {
    /// The explanation of a balance; holds that keep nothing back are left out.
    pub(super) fn explanation(&mut self, name: &str) -> wire::BalanceExplanation {
        let balance = self.account_view(name).balance;
        // Limits have got back what they counted for what has expired.
        self.settle(&[name.to_owned()].into());
        let account = self.accounts.get(name).unwrap();
        let amount = |units| Some(money(units, account.currency()));
        let below = account.bound().map_or(0, |bound| account.held - account.posted() - bound);
        let blocks = account.blocks(self.now).map(|(source, block)| wire::BlockInForce {
            source: source.to_owned(),
            block: Some(block.clone()),
        });
        let limits = account.controls.values().flat_map(|from| {
            from.limits.iter().map(|limit| {
                let list = list(account, &from.source, limit);
                let used = list.map(|list| self.used(&list, limit)).unwrap_or_default();
                wire::LimitUsage {
                    source: from.source.clone(),
                    limit: Some(limit.clone()),
                    used_amount: amount(used.0),
                    used_count: used.1,
                }
            })
        });
        let held =
            self.recent_holds().filter(|hold| hold.asked.account == name && hold.remaining > 0);
        let explanation = wire::BalanceExplanation {
            balance,
            holds: sorted(held.map(|hold| hold.view(self.now)).map(kept).collect()),
            held_by_others: amount(0),
            blocks: blocks.collect(),
            limits: limits.collect(),
            excess: amount(below.max(0)),
        };
        self.take_back();
        explanation
    }
}

fn kept(hold: wire::Hold) -> wire::HeldAmount {
    wire::HeldAmount {
        hold: hold.name,
        r#type: hold.r#type,
        remaining: hold.remaining,
        expire_time: hold.expire_time,
    }
}

/// By time of expiry, those that never expire at the end, and by name.
pub(super) fn sorted(mut holds: Vec<wire::HeldAmount>) -> Vec<wire::HeldAmount> {
    let time = |hold: &wire::HeldAmount| {
        let time = hold.expire_time.as_ref();
        (time.is_none(), time.map(super::time::micros), hold.hold.clone())
    };
    holds.sort_by_key(time);
    holds
}
