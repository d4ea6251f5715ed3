//! What the states of a customer and of an account, and freezes, do to money: the table, and the
//! controls that follow from it. The ledger enforces them, and judges their times by its clock.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use shared::money::Units;
use shared::time::Timestamp;

use super::freeze::{Direction, Freeze, FreezeState};
use super::holder::Holder;
use super::limit::Limit;
use super::relationship::Span;
use super::{Account, AccountState, Customer, CustomerState};

/// Freezes of one account that may hold at once.
pub(crate) const ACCOUNT_FREEZES_MAX: usize = 20;
/// Freezes of one customer that may hold at once.
pub(crate) const CUSTOMER_FREEZES_MAX: usize = 8;

/// What a state does to money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The state, as people read it.
    what: &'static str,
    /// The reason that a refused posting is told.
    pub(crate) reason: &'static str,
    direction: Direction,
    honour_holds: bool,
    /// From when until when, as people read it.
    when: &'static str,
}

const SUSPENDED: Rule = Rule {
    what: "customer SUSPENDED",
    reason: "SUSPENDED",
    direction: Direction::All,
    honour_holds: false,
    when: "until it is reinstated",
};

/// Somebody who was known once may still be paid, and what a merchant was promised is kept.
const KYC_EXPIRED: Rule = Rule {
    what: "customer's approval expired",
    reason: "KYC_EXPIRED",
    direction: Direction::Debit,
    honour_holds: true,
    when: "from its `expire_time`, until it is approved anew",
};

const DORMANT: Rule = Rule {
    what: "account DORMANT",
    reason: "DORMANT",
    direction: Direction::Debit,
    honour_holds: true,
    when: "until it is reactivated",
};

/// The ledger lets the disposition of the closing itself pass.
const CLOSING: Rule = Rule {
    what: "account CLOSING or CLOSED",
    reason: "CLOSING",
    direction: Direction::All,
    honour_holds: false,
    when: "until it is reopened",
};

const RULES: [Rule; 4] = [SUSPENDED, KYC_EXPIRED, DORMANT, CLOSING];

/// Why something is forbidden by a freeze. The ledger is told the freeze's own reason.
const FROZEN: &str = "FROZEN";

/// Whether a reason is one that the table gives, and so no freeze may.
pub(crate) fn is_reserved(reason_code: &str) -> bool {
    reason_code == FROZEN || RULES.iter().any(|rule| rule.reason == reason_code)
}

/// Somebody whose own state stops an account, while they hold it.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// As what, and when.
    pub(crate) holder: Holder,
    /// Who.
    pub(crate) customer: Customer,
    /// What is ordered about them.
    pub(crate) freezes: Vec<Freeze>,
}

/// An account with all that stops it.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    /// The account.
    pub(crate) account: Account,
    /// What is ordered about it.
    pub(crate) freezes: Vec<Freeze>,
    /// Its owners and joint holders.
    pub(crate) principals: Vec<Principal>,
}

/// Forbids one direction, or sets an amount apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Why, as the table or as a freeze has it.
    cause: &'static str,
    /// What the ledger tells whom it refuses.
    pub(crate) reason_code: String,
    /// What is forbidden.
    pub(crate) direction: Direction,
    /// Sets apart this much instead of everything.
    pub(crate) amount: Option<Units>,
    /// From when on; always where there is none.
    pub(crate) start: Option<Timestamp>,
    /// Until when; for ever where there is none.
    pub(crate) end: Option<Timestamp>,
    /// Lets holds that are open already be captured.
    pub(crate) honour_holds: bool,
}

impl Block {
    fn of(rule: Rule, start: Option<Timestamp>) -> Self {
        Self {
            cause: rule.reason,
            reason_code: rule.reason.to_owned(),
            direction: rule.direction,
            amount: None,
            start,
            end: None,
            honour_holds: rule.honour_holds,
        }
    }

    /// A freeze holds from its order on: no clock that is late may hold it up.
    fn frozen(freeze: &Freeze) -> Self {
        Self {
            cause: FROZEN,
            reason_code: freeze.reason_code.clone(),
            direction: freeze.direction,
            amount: freeze.amount,
            start: None,
            end: freeze.end_time,
            honour_holds: freeze.honour_holds,
        }
    }

    /// The part of it that is within a time; none where nothing is.
    fn within(mut self, span: Span, now: Timestamp) -> Option<Self> {
        if span.start > now {
            self.start = Some(self.start.map_or(span.start, |start| start.max(span.start)));
        }
        self.end = self.end.into_iter().chain(span.end).min();
        let is_empty = self.end.is_some_and(|end| self.start.is_some_and(|start| end <= start));
        (!is_empty).then_some(self)
    }

    fn holds_at(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }

    fn forbids(&self, direction: Direction) -> bool {
        self.amount.is_none() && (self.direction == Direction::All || self.direction == direction)
    }
}

/// All that the ledger shall enforce of an account: full state, of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Controls {
    /// Grows with every change of what stops the account.
    pub(crate) version: i64,
    /// What is forbidden. The effect is the union.
    pub(crate) blocks: Vec<Block>,
    /// What is limited.
    pub(crate) limits: Vec<Limit>,
}

/// What may move now, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Whether what worsens the position passes.
    pub(crate) debits: bool,
    /// Whether what betters it passes.
    pub(crate) credits: bool,
    /// What holds, as the table has it, each once.
    pub(crate) reasons: Vec<&'static str>,
}

impl Position {
    /// What follows from the table for this account. What is over by `now` is left out.
    pub(crate) fn controls(&self, now: Timestamp) -> Controls {
        let state = match self.account.state {
            AccountState::Pending | AccountState::Open => None,
            AccountState::Dormant => Some(Block::of(DORMANT, None)),
            AccountState::Closing | AccountState::Closed => Some(Block::of(CLOSING, None)),
        };
        let mut blocks: Vec<Block> = state.into_iter().collect();
        blocks.extend(frozen(&self.freezes, now));
        for principal in &self.principals {
            let own = principal.blocks(now).into_iter();
            blocks.extend(own.filter_map(|block| block.within(principal.holder.span, now)));
        }
        let mut unique: Vec<Block> = Vec::with_capacity(blocks.len());
        for block in blocks {
            // Two amounts are set apart beside each other; of anything else once is enough.
            if block.amount.is_some() || !unique.contains(&block) {
                unique.push(block);
            }
        }
        let (version, limits) = (self.account.controls_version, self.account.limits.clone());
        Controls { version, blocks: unique, limits }
    }

    /// A freeze that holds, of the account or of one of its principals.
    pub(crate) fn frozen(&self, now: Timestamp) -> Option<&Freeze> {
        let theirs = self.principals.iter().flat_map(|principal| &principal.freezes);
        let mut all = self.freezes.iter().chain(theirs);
        all.find(|freeze| freeze.state_at(now) == FreezeState::Active)
    }

    /// What may move now.
    pub(crate) fn effect(&self, now: Timestamp) -> Effect {
        let blocks = self.controls(now).blocks;
        let holding: Vec<&Block> = blocks.iter().filter(|block| block.holds_at(now)).collect();
        let passes = |direction| !holding.iter().any(|block| block.forbids(direction));
        let mut reasons: Vec<&'static str> = holding.iter().map(|block| block.cause).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let (debits, credits) = (passes(Direction::Debit), passes(Direction::Credit));
        Effect { debits, credits, reasons }
    }
}

impl Principal {
    fn blocks(&self, now: Timestamp) -> Vec<Block> {
        let is_suspended = self.customer.state == CustomerState::Suspended;
        let suspended = is_suspended.then(|| Block::of(SUSPENDED, None));
        let expired = self.customer.kyc.expire_time.map(|end| Block::of(KYC_EXPIRED, Some(end)));
        suspended.into_iter().chain(expired).chain(frozen(&self.freezes, now)).collect()
    }
}

fn frozen(freezes: &[Freeze], now: Timestamp) -> impl Iterator<Item = Block> + '_ {
    let active = freezes.iter().filter(move |freeze| freeze.state_at(now) == FreezeState::Active);
    active.map(Block::frozen)
}

/// The table of effects in Markdown, for the pages that explain it.
pub fn effects() -> String {
    let mut table = "\
| | debit | credit | new hold | capture of an open hold | when |
|---|---|---|---|---|---|
"
    .to_owned();
    let mut row = |what: &str, direction: Direction, honoured: &str, when: &str| {
        let word = |forbidden: bool| if forbidden { "no" } else { "yes" };
        let debit = word(direction != Direction::Credit);
        let credit = word(direction != Direction::Debit);
        let capture = if direction == Direction::Credit { "yes" } else { honoured };
        // Writing to a text cannot fail.
        let _ = writeln!(table, "| {what} | {debit} | {credit} | {debit} | {capture} | {when} |");
    };
    for rule in RULES {
        let honoured = if rule.honour_holds { "yes" } else { "no" };
        row(rule.what, rule.direction, honoured, rule.when);
    }
    for direction in Direction::ALL {
        let what = format!("frozen, {}", direction.name());
        row(&what, *direction, "if it honours holds", "until it is lifted or ends");
    }
    table.push_str(
        "| frozen, an amount | what is above it | yes | what is above it | what is above it \
         | until it is lifted or ends |\n",
    );
    table
}
