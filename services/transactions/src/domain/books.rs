//! The books of a batch: accounts, holds and counters as the orders that are decided leave them.
//! Orders are decided one after the other, in memory, over rows that are locked, and each sees the
//! ones before it. What is refused leaves no trace.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use shared::money::Units;
use shared::time::{Day, Timestamp};
use uuid::Uuid;

use super::limit::{Calendar, Counted, Use};
use super::{
    AccountId, BatchId, Closings, CustomerId, DayTotal, EntryRef, Hold, HoldEvent, HoldId,
    LedgerAccount, Limit, Original, OriginalEntry, Place, Refusal, Scope, TransactionId, Usage,
    UsageKey, Window,
};

/// Where ids are unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Collection {
    Transactions,
    Holds,
}

impl Collection {
    /// The name of one of its members.
    pub(crate) fn name(self, id: Uuid) -> String {
        match self {
            Self::Transactions => TransactionId::from_uuid(id).name(),
            Self::Holds => HoldId::from_uuid(id).name(),
        }
    }
}

/// An external id: its collection, kind and value.
pub(crate) type ExternalId = (Collection, String, String);

/// The books of one tenant, as far as a batch touches them.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
    /// Which days can be booked on.
    pub(crate) closings: Closings,
    pub(crate) accounts: BTreeMap<AccountId, LedgerAccount>,
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    /// The transactions that orders are linked to.
    pub(crate) originals: BTreeMap<TransactionId, Original>,
    pub(crate) usages: BTreeMap<UsageKey, Usage>,
    /// What limits have yet to get back for holds of other accounts, whose expiry nobody has
    /// recorded.
    lapsed: Vec<Counted>,
    /// The chosen ids that are in use.
    pub(crate) taken: BTreeSet<(Collection, Uuid)>,
    /// The external ids that are in use, with their holders.
    pub(crate) external_ids: BTreeMap<ExternalId, Uuid>,
    /// Transactions that a later order of the batch is linked to, whether or not they are there
    /// yet.
    pub(crate) wanted: BTreeSet<TransactionId>,
    pub(crate) changed: Changed,
    calendar: OnceCell<Calendar>,
    undo: Vec<Undo>,
}

/// What has changed since the books were opened.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) accounts: BTreeSet<AccountId>,
    pub(crate) holds: BTreeSet<HoldId>,
    pub(crate) entries: BTreeSet<EntryRef>,
    pub(crate) usages: BTreeSet<UsageKey>,
    pub(crate) events: Vec<HoldEvent>,
    /// What days have got that are not their account's latest.
    pub(crate) days: BTreeMap<(AccountId, Day, Day), (Units, Units)>,
}

impl Changed {
    /// Whether anything has changed but accounts.
    pub(crate) fn is_more_than_balances(&self) -> bool {
        let Self { accounts: _, holds, entries, usages, events, days } = self;
        !(holds.is_empty()
            && entries.is_empty()
            && usages.is_empty()
            && events.is_empty()
            && days.is_empty())
    }
}

/// How to take a change back.
#[derive(Debug)]
enum Undo {
    Account(Box<LedgerAccount>),
    Hold(HoldId, Option<Box<Hold>>),
    Entry(EntryRef, OriginalEntry),
    Original(TransactionId),
    Usage(UsageKey, Option<Usage>),
    Day((AccountId, Day, Day), Option<(Units, Units)>),
    Taken(Collection, Uuid),
    ExternalId(ExternalId),
    Event,
}

impl Books {
    /// Books without anything in them.
    pub(crate) fn open(now: Timestamp, zone: TimeZone) -> Self {
        Self {
            now,
            zone,
            closings: Closings::default(),
            accounts: BTreeMap::new(),
            holds: BTreeMap::new(),
            originals: BTreeMap::new(),
            usages: BTreeMap::new(),
            lapsed: Vec::new(),
            taken: BTreeSet::new(),
            external_ids: BTreeMap::new(),
            wanted: BTreeSet::new(),
            changed: Changed::default(),
            calendar: OnceCell::new(),
            undo: Vec::new(),
        }
    }

    /// The time of the batch.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Does all of it, or nothing.
    pub(crate) fn atomically<T, E>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let mark = self.undo.len();
        let done = act(self);
        if done.is_err() {
            for undo in self.undo.drain(mark..).rev().collect::<Vec<_>>() {
                self.take_back(undo);
            }
        }
        done
    }

    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Account(account) => {
                self.accounts.insert(account.id, *account);
            }
            Undo::Hold(id, Some(hold)) => {
                self.holds.insert(id, *hold);
            }
            Undo::Hold(id, None) => {
                self.holds.remove(&id);
            }
            Undo::Entry(entry, old) => {
                let original = self.originals.get_mut(&entry.transaction);
                if let Some(slot) = original.and_then(|original| original.entry_mut(entry.index)) {
                    *slot = old;
                }
            }
            Undo::Original(id) => {
                self.originals.remove(&id);
            }
            Undo::Usage(key, Some(usage)) => {
                self.usages.insert(key, usage);
            }
            Undo::Usage(key, None) => {
                self.usages.remove(&key);
            }
            Undo::Day(key, Some(sums)) => {
                self.changed.days.insert(key, sums);
            }
            Undo::Day(key, None) => {
                self.changed.days.remove(&key);
            }
            Undo::Taken(collection, id) => {
                self.taken.remove(&(collection, id));
            }
            Undo::ExternalId(key) => {
                self.external_ids.remove(&key);
            }
            Undo::Event => {
                self.changed.events.pop();
            }
        }
    }

    /// Makes final what has happened since the last time.
    pub(crate) fn settle(&mut self) {
        for undo in self.undo.drain(..) {
            match undo {
                Undo::Account(account) => {
                    self.changed.accounts.insert(account.id);
                }
                Undo::Hold(id, _) => {
                    self.changed.holds.insert(id);
                }
                Undo::Entry(entry, _) => {
                    self.changed.entries.insert(entry);
                }
                Undo::Usage(key, _) => {
                    self.changed.usages.insert(key);
                }
                _ => {}
            }
        }
    }

    /// The time of a change of these accounts: later than the last one of each, whatever the clocks
    /// of the replicas say.
    pub(super) fn record_time(&self, ids: &BTreeSet<AccountId>) -> Timestamp {
        let times = ids.iter().filter_map(|id| self.accounts.get(id));
        let last = times.map(|account| account.record_time.micros() + 1).max();
        self.now.max(Timestamp::from_micros(last.unwrap_or(i64::MIN)))
    }

    /// Keeps accounts as they are, in case the order is refused.
    pub(super) fn keep(&mut self, ids: &BTreeSet<AccountId>) {
        let accounts = ids.iter().filter_map(|id| self.accounts.get(id));
        self.undo.extend(accounts.map(|account| Undo::Account(Box::new(account.clone()))));
    }

    /// An account that can be posted to.
    pub(super) fn open_account(
        &self,
        place: Place,
        id: AccountId,
    ) -> Result<&LedgerAccount, Refusal> {
        match self.accounts.get(&id) {
            None => Err(Refusal::UnknownAccount { place, account: id }),
            Some(account) if account.close_time.is_some() => {
                Err(Refusal::Closed { place, account: id })
            }
            Some(account) => Ok(account),
        }
    }

    /// Puts a hold into the books, as it is now.
    pub(super) fn put_hold(&mut self, hold: Hold) {
        let id = hold.id;
        let old = self.holds.insert(id, hold);
        self.undo.push(Undo::Hold(id, old.map(Box::new)));
    }

    pub(super) fn put_event(&mut self, event: HoldEvent) {
        self.changed.events.push(event);
        self.undo.push(Undo::Event);
    }

    pub(super) fn put_original(&mut self, id: TransactionId, original: Original) {
        self.originals.insert(id, original);
        self.undo.push(Undo::Original(id));
    }

    /// The entry that a link is about, to be changed.
    pub(super) fn original_entry_mut(&mut self, entry: EntryRef) -> Option<&mut OriginalEntry> {
        let original = self.originals.get_mut(&entry.transaction)?;
        let found = original.entry_mut(entry.index)?;
        self.undo.push(Undo::Entry(entry, *found));
        Some(found)
    }

    /// Says of the events from a number on in which batch they happened.
    pub(crate) fn place_events(&mut self, from: usize, batch: Option<(BatchId, i32)>) {
        for event in self.changed.events.iter_mut().skip(from) {
            event.batch = batch;
        }
    }

    /// Counts what is not of its account's latest day.
    pub(super) fn put_day(&mut self, account: AccountId, day: DayTotal) {
        let key = (account, day.booking, day.value);
        let old = self.changed.days.get(&key).copied();
        let (debits, credits) = old.unwrap_or_default();
        let sum = |a: Units, b: Units| a.checked_add(b).unwrap_or(a);
        let new = (sum(debits, day.debits), sum(credits, day.credits));
        self.changed.days.insert(key, new);
        self.undo.push(Undo::Day(key, old));
    }

    /// Claims an id that the caller chose, and external ids.
    pub(super) fn claim_ids(
        &mut self,
        collection: Collection,
        id: Uuid,
        is_chosen: bool,
        external_ids: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        if is_chosen {
            if !self.taken.insert((collection, id)) {
                return Err(Refusal::IdTaken(collection.name(id)));
            }
            self.undo.push(Undo::Taken(collection, id));
        }
        for (kind, value) in external_ids {
            let key = (collection, kind.clone(), value.clone());
            if let Some(holder) = self.external_ids.get(&key) {
                let holder = collection.name(*holder);
                return Err(Refusal::ExternalIdTaken { kind: kind.clone(), holder });
            }
            self.external_ids.insert(key.clone(), id);
            self.undo.push(Undo::ExternalId(key));
        }
        Ok(())
    }

    /// What time it is, for the windows of limits.
    pub(crate) fn calendar(&self) -> &Calendar {
        self.calendar.get_or_init(|| Calendar::at(self.now, &self.zone))
    }

    /// Counts something against the limits of an account; refused where one of them stands against
    /// it, unless that is overridden.
    pub(super) fn count(
        &mut self,
        place: Place,
        id: AccountId,
        what: Use<'_>,
        overridden: bool,
    ) -> Result<Vec<Counted>, Refusal> {
        let Some(account) = self.accounts.get(&id) else {
            return Ok(Vec::new());
        };
        let limits = account.controls.iter().flat_map(|controls| {
            controls.limits.iter().map(move |limit| (controls.source.as_str(), limit))
        });
        let mut counters: Vec<(UsageKey, &Limit)> = Vec::new();
        for (source, limit) in limits.filter(|(_, limit)| limit.counts(what.act, what.kind)) {
            let key = limit.key(source, account);
            let used = key.as_ref().map(|key| self.used(key, limit.window)).unwrap_or_default();
            let exceeded = limit.check(source, account.currency, used, &what);
            if let Some(limit) = exceeded.filter(|_| !overridden) {
                return Err(Refusal::LimitExceeded { place, account: id, limit: Box::new(limit) });
            }
            counters.extend(key.map(|key| (key, limit)));
        }
        let calendar = *self.calendar();
        let mut counted = Vec::with_capacity(counters.len());
        for (key, limit) in counters {
            let old = self.usages.get(&key).cloned();
            let usage = self.usages.entry(key.clone()).or_default();
            let begin = usage.add(limit.window, &calendar, what.amount, what.count);
            self.undo.push(Undo::Usage(key.clone(), old));
            counted.push(Counted { key, begin, amount: what.amount, count: what.count });
        }
        Ok(counted)
    }

    /// The amount and the count that are in the window of a limit now.
    pub(crate) fn used(&self, key: &UsageKey, window: Window) -> (Units, i64) {
        let Some(usage) = self.usages.get(key) else {
            return (Units::ZERO, 0);
        };
        let mut lapsed = self.lapsed.iter().filter(|counted| counted.key == *key).peekable();
        if lapsed.peek().is_none() {
            return usage.used(window, self.calendar());
        }
        let mut usage = usage.clone();
        for counted in lapsed {
            usage.give_back(counted.begin, counted.amount, counted.count);
        }
        usage.used(window, self.calendar())
    }

    /// The customers of whom a limit counts all accounts together.
    pub(crate) fn limited_customers(&self) -> BTreeSet<CustomerId> {
        let is_limited = |account: &&LedgerAccount| {
            let mut limits = account.controls.iter().flat_map(|controls| &controls.limits);
            limits.any(|limit| limit.scope == Scope::Customer)
        };
        let limited = self.accounts.values().filter(is_limited);
        limited.filter_map(|account| account.customer).collect()
    }

    /// Has limits count no more what holds of other accounts have counted that have expired.
    pub(crate) fn lapse(&mut self, holds: BTreeMap<HoldId, Hold>) {
        let others = holds.into_values().filter(|hold| !self.accounts.contains_key(&hold.account));
        let lapsed = others.flat_map(|hold| {
            let amount = hold.remaining;
            hold.at(self.now).take_counted(amount)
        });
        let lapsed: Vec<Counted> = lapsed.collect();
        self.lapsed = lapsed;
    }

    /// Gives back to a limit what it has counted, where it still counts it.
    pub(super) fn give_back(&mut self, counted: &Counted) {
        if let Some(usage) = self.usages.get_mut(&counted.key) {
            self.undo.push(Undo::Usage(counted.key.clone(), Some(usage.clone())));
            usage.give_back(counted.begin, counted.amount, counted.count);
        }
    }
}
