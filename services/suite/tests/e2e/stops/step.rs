//! Every act on an account, and what the ledger has after each of its steps.

use strongroom_proto::accounts::v1::freeze::Direction;
use strongroom_proto::transactions::v1::ledger_account::State;

use super::act::{
    Act, ORDER, approve, close, dormant, freeze_account, freeze_customer, limit, reopen, suspend,
};
use super::desk::Desk;

/// What the ledger has of an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Why something is forbidden; empty where nothing is.
    reason: &'static str,
    limits: usize,
    is_closed: bool,
}

impl Seen {
    const OPEN: Self = Self { reason: "", limits: 0, is_closed: false };

    fn because(reason: &'static str) -> Self {
        Self { reason, ..Self::OPEN }
    }

    pub(super) async fn holds(self, desk: &Desk, name: &str) -> bool {
        let Some(found) = desk.find(name).await else { return false };
        let controls = desk.controls(name).await;
        let reasons: Vec<&str> =
            controls.blocks.iter().map(|block| block.reason_code.as_str()).collect();
        reasons == Vec::from_iter(Some(self.reason).filter(|reason| !reason.is_empty()))
            && controls.limits.len() == self.limits
            && (found.state() == State::Closed) == self.is_closed
    }
}

/// An act, and what the ledger has after each time that it was asked.
pub(super) struct Step {
    pub(super) act: Act,
    pub(super) seen: Vec<Seen>,
}

/// Every act, one after the other.
pub(super) fn steps(customer: &str, account: &str, pot: &str, opening: Act) -> Vec<Step> {
    let (freeze, lift) = freeze_account(account, Direction::All);
    let (order, end) = freeze_customer(customer, Direction::Debit);
    let (suspend, reinstate) = suspend(customer);
    let (dormant, reactivate) = dormant(account);
    let limited = Seen { limits: 1, ..Seen::OPEN };
    let closing = Seen { reason: "CLOSING", ..limited };
    let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    let steps = [
        (opening, vec![Seen::OPEN]),
        (freeze, vec![Seen::because(ORDER)]),
        (lift, vec![Seen::OPEN]),
        (order, vec![Seen::because(ORDER)]),
        (end, vec![Seen::OPEN]),
        (suspend, vec![Seen::because("SUSPENDED")]),
        (reinstate, vec![Seen::OPEN]),
        (limit(account, "9.00"), vec![limited]),
        (dormant, vec![Seen { reason: "DORMANT", ..limited }]),
        (reactivate, vec![limited]),
        (close(account, pot), vec![closing, Seen { is_closed: true, ..closing }]),
        (reopen(account), vec![Seen { is_closed: true, ..limited }, limited]),
        (approve(customer, Some(later)), vec![Seen { reason: "KYC_EXPIRED", ..limited }]),
    ];
    steps.into_iter().map(|(act, seen)| Step { act, seen }).collect()
}
