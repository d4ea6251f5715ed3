//! An account of the reference.

use std::collections::BTreeMap;

use strongroom_proto::transactions::v1 as wire;
use wire::block::Effect;
use wire::{AccountClass, Direction};

use super::money::{known, money};
use super::time::wire_time;

/// What is asked of an account, as refusals call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Debit,
    Credit,
    Hold,
    Capture,
}

impl Act {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debit => "DEBIT",
            Self::Credit => "CREDIT",
            Self::Hold => "HOLD",
            Self::Capture => "CAPTURE",
        }
    }

    /// Whether blocks and limits with an effect are about it.
    pub(super) fn is_under(self, effect: Effect) -> bool {
        effect == Effect::All || (effect == Effect::Credit) == (self == Self::Credit)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Account {
    /// As it was registered.
    pub(super) registered: wire::LedgerAccount,
    pub(super) debits: i128,
    pub(super) credits: i128,
    pub(super) held: i128,
    pub(super) entries: i64,
    pub(super) version: i64,
    /// When it last changed.
    pub(super) changed: i64,
    pub(super) closed: Option<i64>,
    /// By source.
    pub(super) controls: BTreeMap<String, wire::Controls>,
}

impl Account {
    pub(super) fn registered(account: wire::LedgerAccount) -> Self {
        let created = super::time::micros(account.create_time.as_ref().unwrap());
        let controls = account.controls.iter().map(|one| (one.source.clone(), one.clone()));
        Self {
            controls: controls.collect(),
            registered: account,
            debits: 0,
            credits: 0,
            held: 0,
            entries: 0,
            version: 1,
            changed: created,
            closed: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.registered.name
    }

    pub(super) fn currency(&self) -> &str {
        &self.registered.currency
    }

    /// The direction that lowers it.
    pub(super) fn lowering(&self) -> Direction {
        match self.registered.class() {
            AccountClass::Asset | AccountClass::Expense => Direction::Credit,
            _ => Direction::Debit,
        }
    }

    /// How far it may fall; nothing where that has no bound.
    pub(super) fn bound(&self) -> Option<i128> {
        use wire::overdraft::Bound;
        match self.registered.overdraft.as_ref().and_then(|overdraft| overdraft.bound.as_ref()) {
            Some(Bound::Unbounded(true)) => None,
            Some(Bound::Limit(limit)) => Some(known(Some(limit))),
            _ => Some(0),
        }
    }

    pub(super) fn posted(&self) -> i128 {
        match self.lowering() {
            Direction::Debit => self.credits - self.debits,
            _ => self.debits - self.credits,
        }
    }

    /// The blocks that are in force at a time.
    pub(super) fn blocks(&self, now: i64) -> impl Iterator<Item = (&str, &wire::Block)> {
        let all = self.controls.values().flat_map(|controls| {
            controls.blocks.iter().map(move |block| (controls.source.as_str(), block))
        });
        all.filter(move |(_, block)| {
            let time = |time: &Option<_>| time.as_ref().map(super::time::micros);
            time(&block.start_time).is_none_or(|start| start <= now)
                && time(&block.end_time).is_none_or(|end| now < end)
        })
    }

    /// What is set apart at a time.
    pub(super) fn blocked(&self, now: i64) -> i128 {
        self.blocks(now).map(|(_, block)| known(block.amount.as_ref())).sum()
    }

    /// What could be spent beyond its own bound.
    pub(super) fn free(&self, now: i64) -> i128 {
        self.posted() - self.held - self.blocked(now)
    }

    pub(super) fn available(&self, now: i64) -> Option<i128> {
        Some(self.free(now) + self.bound()?)
    }

    /// Records a change.
    pub(super) fn touch(&mut self, time: i64) {
        self.version += 1;
        self.changed = time;
    }

    /// The balance, where `expired` is held no more though nobody has recorded that.
    pub(super) fn balance(&self, now: i64, expired: i128) -> wire::Balance {
        let mut current = self.clone();
        current.held -= expired;
        let amount = |units| Some(money(units, self.currency()));
        wire::Balance {
            account: self.name().to_owned(),
            currency: self.currency().to_owned(),
            posted_debits: amount(self.debits),
            posted_credits: amount(self.credits),
            posted: amount(self.posted()),
            held: amount(current.held),
            blocked: amount(self.blocked(now)),
            overdraft_limit: self.bound().and_then(amount),
            available: current.available(now).and_then(amount),
            entry_seq: self.entries,
            version: self.version,
            record_time: Some(wire_time(self.changed)),
        }
    }

    /// The account as it is answered.
    pub(super) fn view(&self, now: i64, expired: i128) -> wire::LedgerAccount {
        use wire::ledger_account::State;
        let state = if self.closed.is_some() { State::Closed } else { State::Open };
        wire::LedgerAccount {
            controls: self.controls.values().cloned().collect(),
            balance: Some(self.balance(now, expired)),
            etag: format!("\"{}\"", self.version),
            state: state.into(),
            close_time: self.closed.map(wire_time),
            ..self.registered.clone()
        }
    }
}
