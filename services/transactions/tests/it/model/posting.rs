//! How the reference posts.

use std::collections::{BTreeMap, BTreeSet};

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::{Direction, Override};

use super::account::{Account, Act};
use super::call::Refusal;
use super::limits::Weight;
use super::money::{fits, known, major, money};
use super::reference::{Against, Posted, Reference};
use super::time::{day, wire_time};

/// What a capture does to the account of its hold beside its entries.
pub(super) struct Captured {
    pub(super) account: String,
    /// What is taken of a hold that has expired is a debit like any other.
    pub(super) is_open: bool,
    /// What is held no more.
    pub(super) freed: i128,
    /// What goes beyond what was held.
    pub(super) beyond: i128,
}

pub(super) fn overrides(force: Option<&wire::Force>, rule: Override) -> bool {
    force.is_some_and(|force| force.overrides().any(|one| one == rule))
}

impl Reference {
    /// Posts a transaction that is complete but for what posting adds.
    pub(super) fn post(
        &mut self,
        name: &str,
        is_chosen: bool,
        mut transaction: wire::Transaction,
        captured: Option<&Captured>,
    ) -> Result<wire::Transaction, Against> {
        let asked = transaction.entries.clone();
        let inaccessible = asked.iter().filter_map(|entry| self.inaccessible(&entry.account));
        let mut against: Against = inaccessible.collect();
        if !against.is_empty() {
            return Err(against);
        }
        against.extend(self.claim(name, is_chosen, &transaction.external_ids));
        against.extend(self.versions(&asked));
        let mut names: BTreeSet<String> = asked.iter().map(|entry| entry.account.clone()).collect();
        names.extend(captured.map(|captured| captured.account.clone()));
        let time = self.record_time(names.iter().map(String::as_str));
        let before: Vec<Account> =
            names.iter().map(|name| self.accounts.get(name).unwrap().clone()).collect();
        if let Some(captured) = captured {
            self.accounts.change(&captured.account).held -= captured.freed;
        }
        against.extend(self.enter(&mut transaction, captured, time));
        if !overrides(transaction.force.as_ref(), Override::Funds) {
            against.extend(before.iter().filter_map(|account| self.too_low(account)));
        }
        against.extend(self.wishes(&asked));
        against.extend(self.weigh(&transaction, captured));
        for link in &mut transaction.links {
            against.extend(self.take(link));
        }
        if !against.is_empty() {
            return Err(against);
        }
        name.clone_into(&mut transaction.name);
        transaction.effective_time.get_or_insert(wire_time(time));
        transaction.record_time = Some(wire_time(time));
        transaction.booking_date = day(time);
        let taken = vec![[0; 2]; transaction.entries.len()];
        self.transactions.put(name, Posted { transaction: transaction.clone(), taken });
        Ok(transaction)
    }

    fn versions(&self, entries: &[wire::Entry]) -> Against {
        let expecting = entries.iter().filter(|entry| entry.expected_version != 0);
        let wrong = expecting.filter_map(|entry| {
            let version = self.accounts.get(&entry.account).unwrap().version;
            (version != entry.expected_version).then(|| {
                Refusal::new(Reason::VersionMismatch)
                    .with("account", &entry.account)
                    .with("version", version)
            })
        });
        wrong.collect()
    }

    /// Puts the entries into their accounts.
    fn enter(
        &mut self,
        transaction: &mut wire::Transaction,
        captured: Option<&Captured>,
        time: i64,
    ) -> Against {
        let now = self.now;
        let may_pass = overrides(transaction.force.as_ref(), Override::Controls);
        let mut against = Vec::new();
        for entry in &mut transaction.entries {
            let units = known(entry.amount.as_ref());
            let account = self.accounts.get(&entry.account).unwrap();
            let currency = account.currency().to_owned();
            if entry.amount.as_ref().unwrap().currency != currency {
                let refusal = Refusal::new(Reason::CurrencyMismatch);
                against.push(refusal.with("expected", currency));
                continue;
            }
            let act = act(account, entry, captured);
            if !may_pass {
                against.extend(self.forbidden(account, act));
            }
            let account = self.accounts.change(&entry.account);
            let side = match entry.direction() {
                Direction::Debit => &mut account.debits,
                _ => &mut account.credits,
            };
            *side += units;
            if !fits(*side) {
                let refusal = Refusal::new(Reason::AmountOverflow);
                against.push(refusal.with("account", &entry.account));
            }
            account.entries += 1;
            account.touch(time);
            entry.balance = Some(wire::EntryBalance {
                posted: Some(money(account.posted(), &currency)),
                available: account.available(now).map(|units| money(units, &currency)),
                entry_seq: account.entries,
                version: account.version,
            });
            entry.amount = Some(money(units, &currency));
            (entry.expected_version, entry.min_available_after) = (0, None);
        }
        against
    }

    /// Whether an account is below its bound, and lower than before.
    pub(super) fn too_low(&self, before: &Account) -> Option<Refusal> {
        let account = self.accounts.get(before.name()).unwrap();
        let (available, after) = (before.available(self.now)?, account.available(self.now)?);
        let figure = |units| major(units, account.currency());
        (after < 0 && after < available).then(|| {
            Refusal::new(Reason::InsufficientFunds)
                .with("account", account.name())
                .with("available", figure(available))
                .with("held", figure(before.held))
                .with("blocked", figure(account.blocked(self.now)))
                .with("limit", figure(account.bound().unwrap()))
                .with("shortfall", figure(-after))
        })
    }

    fn wishes(&self, entries: &[wire::Entry]) -> Against {
        let mut against = Vec::new();
        for entry in entries {
            let Some(least) = &entry.min_available_after else { continue };
            let account = self.accounts.get(&entry.account).unwrap();
            let left = account.available(self.now).unwrap_or(account.free(self.now));
            if least.currency != account.currency() {
                let refusal = Refusal::new(Reason::CurrencyMismatch);
                against.push(refusal.with("expected", account.currency()));
            } else if left < known(Some(least)) {
                against.push(
                    Refusal::new(Reason::BalancePrecondition)
                        .with("account", &entry.account)
                        .with("available", major(left, account.currency())),
                );
            }
        }
        against
    }

    /// Counts what each account gets and gives, once for each of the two.
    fn weigh(&mut self, transaction: &wire::Transaction, captured: Option<&Captured>) -> Against {
        let mut sums: BTreeMap<(String, bool), (Act, i128)> = BTreeMap::new();
        for entry in &transaction.entries {
            let account = self.accounts.get(&entry.account).unwrap();
            let act = act(account, entry, captured);
            let key = (entry.account.clone(), act == Act::Credit);
            sums.entry(key).or_insert((act, 0)).1 += known(entry.amount.as_ref());
        }
        let mut against = Vec::new();
        for ((name, _), (act, sum)) in sums {
            let beyond = captured.map_or(0, |captured| captured.beyond);
            // What was held was counted when it was held.
            let (amount, count) = if act == Act::Capture { (beyond, 0) } else { (sum, 1) };
            if amount > 0 {
                let weight = Weight { act, kind: &transaction.r#type, amount, count };
                against.extend(self.count(&name, &weight).0);
            }
        }
        if overrides(transaction.force.as_ref(), Override::Limits) { Vec::new() } else { against }
    }

    /// Takes of an earlier entry what a link says.
    fn take(&mut self, link: &mut wire::Link) -> Option<Refusal> {
        use wire::link::Type;
        let Some(posted) = self.transactions.get(&link.transaction) else {
            return Some(Refusal::new(Reason::ResourceNotFound).with("name", &link.transaction));
        };
        let place = usize::try_from(link.entry_index).unwrap();
        let Some(entry) = posted.transaction.entries.get(place) else {
            return Some(Refusal::new(Reason::FieldInvalid));
        };
        let (whole, amount) = (entry.amount.clone().unwrap(), link.amount.clone().unwrap());
        if whole.currency != amount.currency {
            let refusal = Refusal::new(Reason::CurrencyMismatch);
            return Some(refusal.with("expected", whole.currency));
        }
        let kind = usize::from(link.r#type() != Type::FeeOf);
        let requested = known(Some(&amount));
        let remaining = known(Some(&whole)) - posted.taken[place][kind];
        link.amount = Some(money(requested, &amount.currency));
        if requested > remaining {
            let reason = match link.r#type() {
                Type::ReversalOf => Reason::ReversalExceedsOriginal,
                _ => Reason::LinkExceedsOriginal,
            };
            let refusal = Refusal::new(reason)
                .with("transaction", &link.transaction)
                .with("remaining", major(remaining, &amount.currency))
                .with("requested", major(requested, &amount.currency));
            return Some(refusal);
        }
        self.transactions.change(&link.transaction).taken[place][kind] += requested;
        None
    }
}

/// What an entry is to its account.
fn act(account: &Account, entry: &wire::Entry, captured: Option<&Captured>) -> Act {
    let is_held = |of: &Captured| of.is_open && of.account == entry.account;
    match entry.direction() == account.lowering() {
        false => Act::Credit,
        true if captured.is_some_and(is_held) => Act::Capture,
        true => Act::Debit,
    }
}
