//! The reference ledger: what the contract says, in plain maps.

use std::collections::BTreeSet;

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;

use super::account::{Account, Act};
use super::call::{Call, Made, Order, Refusal};
use super::hold::Hold;
use super::limits::Counted;
use super::table::Table;

/// What stands against something, in any order: an answer may name any of it.
pub(super) type Against = Vec<Refusal>;

/// A transaction that was posted.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) transaction: wire::Transaction,
    /// What links have taken of each entry: by fees, and by all others.
    pub(super) taken: Vec<[i128; 2]>,
}

/// What became of a request id.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Fenced,
    Made(Call, Vec<Made>),
    Refused(Call, Refusal),
    /// The account that was changed.
    Account(Call, String),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    pub(super) now: i64,
    pub(super) accounts: Table<Account>,
    pub(super) holds: Table<Hold>,
    /// Those that may be open, and others.
    recent: BTreeSet<String>,
    pub(super) transactions: Table<Posted>,
    pub(super) counts: Table<Vec<Counted>>,
    /// Whose an external id is, by collection, kind and value.
    pub(super) external_ids: Table<String>,
    /// The accounts of which a repeat may or may not have had the service record what has expired.
    pub(super) unsure: BTreeSet<String>,
    /// By operation and request id.
    pub(super) outcomes: Table<Outcome>,
}

pub(super) fn key(operation: &str, request_id: &str) -> String {
    format!("{operation} {request_id}")
}

impl Reference {
    pub(super) fn keep(&mut self) {
        self.accounts.keep();
        self.holds.keep();
        self.transactions.keep();
        self.counts.keep();
        self.external_ids.keep();
        self.outcomes.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.accounts.take_back();
        self.holds.take_back();
        self.transactions.take_back();
        self.counts.take_back();
        self.external_ids.take_back();
        self.outcomes.take_back();
    }

    /// When a change of these accounts is recorded: later than the last of each.
    pub(super) fn record_time<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> i64 {
        let accounts = names.into_iter().filter_map(|name| self.accounts.get(name));
        accounts.map(|account| account.changed + 1).chain([self.now]).max().unwrap()
    }

    /// What an order is about: the accounts that it names, or whose holds and postings it names.
    pub(super) fn touched(&self, order: &Order) -> BTreeSet<String> {
        let of_hold = |name: &str| {
            let hold = self.holds.get(name).map(|hold| &hold.asked);
            hold.map_or(Vec::new(), |hold| vec![hold.account.clone(), hold.destination.clone()])
        };
        let of_entries = |entries: &[wire::Entry]| -> Vec<String> {
            entries.iter().map(|entry| entry.account.clone()).collect()
        };
        let names = match order {
            Order::Transaction(request) => {
                of_entries(&request.transaction.as_ref().unwrap().entries)
            }
            Order::Transfer(request) => vec![request.from.clone(), request.to.clone()],
            Order::Reversal(request) => {
                let original = self.transactions.get(&request.name);
                original.map_or(Vec::new(), |posted| of_entries(&posted.transaction.entries))
            }
            Order::Hold(request) => {
                let hold = request.hold.as_ref().unwrap();
                vec![hold.account.clone(), hold.destination.clone()]
            }
            Order::Capture(request) => {
                [of_hold(&request.name), of_entries(&request.entries)].concat()
            }
            Order::Release(request) => of_hold(&request.name),
            Order::Extend(request) => of_hold(&request.name),
            Order::Increase(request) => of_hold(&request.name),
        };
        names.into_iter().filter(|name| self.accounts.get(name).is_some()).collect()
    }

    /// Records what has expired on accounts.
    pub(super) fn settle(&mut self, accounts: &BTreeSet<String>) {
        let due = self.due().filter(|hold| accounts.contains(&hold.asked.account));
        let due: Vec<String> = due.map(|hold| hold.name.clone()).collect();
        for name in due {
            self.expire(&name);
        }
    }

    /// The holds that are open, and some that were not long ago.
    pub(super) fn recent_holds(&self) -> impl Iterator<Item = &Hold> {
        self.recent.iter().filter_map(|name| self.holds.get(name))
    }

    /// The holds that have expired without anybody recording it.
    pub(super) fn due(&self) -> impl Iterator<Item = &Hold> {
        self.recent_holds().filter(|hold| hold.is_past(self.now))
    }

    /// Counts a hold among those that may be open.
    pub(super) fn watch(&mut self, name: &str) {
        self.recent.insert(name.to_owned());
    }

    /// Learns whether the service has recorded what has expired on an account.
    pub(super) fn make_sure(&mut self, name: &str, version: i64) {
        if self.accounts.get(name).unwrap().version != version {
            self.settle(&[name.to_owned()].into());
            self.keep();
        }
    }

    /// Moves the clock.
    pub(super) fn set_now(&mut self, now: i64) {
        self.now = now;
        let is_open = |hold: &Hold| hold.state == wire::hold::State::Open;
        self.recent.retain(|name| self.holds.get(name).is_some_and(is_open));
    }

    /// What is held of an account by holds whose expiry nobody has recorded yet.
    pub(super) fn expired(&self, account: &str) -> i128 {
        self.due().filter(|hold| hold.asked.account == account).map(|hold| hold.remaining).sum()
    }

    /// The account as it has to be answered.
    pub(super) fn account_view(&self, name: &str) -> wire::LedgerAccount {
        self.accounts.get(name).unwrap().view(self.now, self.expired(name))
    }

    /// Why nothing at all can be posted to an account, or held on it.
    pub(super) fn inaccessible(&self, name: &str) -> Option<Refusal> {
        match self.accounts.get(name) {
            None => Some(Refusal::new(Reason::ResourceNotFound).with("name", name)),
            Some(account) if account.closed.is_some() => Some(
                Refusal::new(Reason::InvalidTransition)
                    .with("account", name)
                    .with("state", "CLOSED"),
            ),
            Some(_) => None,
        }
    }

    /// The blocks that forbid something of an account.
    pub(super) fn forbidden(&self, account: &Account, act: Act) -> Against {
        let forbids = |block: &wire::Block| {
            let is_honoured = block.honour_holds && act == Act::Capture;
            block.amount.is_none() && act.is_under(block.effect()) && !is_honoured
        };
        let blocks = account.blocks(self.now).filter(|(_, block)| forbids(block));
        let refusal = |(source, block): (&str, &wire::Block)| {
            Refusal::new(Reason::AccountBlocked)
                .with("account", account.name())
                .with("direction", act.name())
                .with("source", source)
                .with("reason_code", &block.reason_code)
        };
        blocks.map(refusal).collect()
    }

    /// Claims ids of a new resource.
    pub(super) fn claim(
        &mut self,
        name: &str,
        is_chosen: bool,
        external_ids: &std::collections::BTreeMap<String, String>,
    ) -> Against {
        let mut against = Vec::new();
        let is_taken = self.transactions.get(name).is_some() || self.holds.get(name).is_some();
        if is_chosen && is_taken {
            against.push(Refusal::new(Reason::IdTaken).with("name", name));
        }
        let (collection, _) = name.split_once('/').unwrap();
        for (kind, value) in external_ids {
            let key = format!("{collection} {kind} {value}");
            if let Some(holder) = self.external_ids.get(&key) {
                let taken = Refusal::new(Reason::ExternalIdTaken);
                against.push(taken.with("kind", kind).with("holder", holder));
            } else {
                self.external_ids.put(&key, name.to_owned());
            }
        }
        against
    }
}
