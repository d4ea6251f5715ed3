//! What a batch needs to know, read under its locks: accounts first, then what depends on them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::db::Wall;
use shared::ids::TenantId;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;

use super::batch::Group;
use super::{Item, Job, Key, key};
use crate::domain::{
    AccountId, Books, Collection, EntryRef, HoldId, LedgerAccount, Order, Original, TransactionId,
    UsageKey,
};
use crate::error::Error;
use crate::store::ledger_accounts::{Lock, Locked};
use crate::store::place::Place;
use crate::store::{
    calendars, external_ids, holds, ledger_accounts, limit_usages, links, transactions,
};

/// The books of one tenant, where their accounts stand, and whether any of the jobs' requests has
/// an outcome already.
pub(super) struct Opened {
    pub(super) books: Books,
    pub(super) places: BTreeMap<AccountId, Place>,
    pub(super) has_outcomes: bool,
}

/// Opens the books of each tenant, with everything locked that will be written: nobody else changes
/// it meanwhile. Locks are taken in the house's order: calendars and accounts, originals, counts.
/// Plain postings of all tenants cost one statement; each other kind of order its own, once for all
/// of a tenant's.
pub(super) fn open(
    conn: &mut PgConnection,
    wall: &mut Wall,
    groups: &[Group<'_>],
    now: Timestamp,
) -> Result<Vec<Opened>, Error> {
    let mut wanted = Vec::with_capacity(groups.len());
    for group in groups {
        wanted.push(Wanted::by(conn, wall, group.tenant, &group.jobs, now)?);
    }
    let locked = lock(conn, wall, &wanted)?;
    let both = wanted.into_iter().zip(locked);
    both.map(|(mut wanted, locked)| {
        wanted.books.accounts = locked.accounts;
        wanted.books.closings = locked.closings.unwrap_or_default();
        let books = wanted.open(conn, wall, true)?;
        Ok(Opened { books, places: locked.places, has_outcomes: locked.has_outcomes })
    })
    .collect()
}

/// Opens the books for a job that will not be written, so that nothing is locked.
pub(super) fn open_to_read(
    conn: &mut PgConnection,
    job: &Job,
    now: Timestamp,
) -> Result<Books, Error> {
    let (tenant, wall) = (&job.tenant, &mut Wall::around([job.tenant.id]));
    let mut wanted = Wanted::by(conn, wall, tenant, &[job], now)?;
    wanted.books.accounts = ledger_accounts::select_all(conn, tenant.id, &wanted.accounts)?;
    wanted.books.closings = calendars::select(conn, tenant.id)?;
    wanted.open(conn, wall, false)
}

/// What the jobs of one tenant are about, before anything is locked.
struct Wanted<'a> {
    tenant: TenantId,
    items: Vec<&'a Item>,
    requests: Vec<Key<'a>>,
    accounts: BTreeSet<AccountId>,
    holds: BTreeSet<HoldId>,
    books: Books,
}

impl<'a> Wanted<'a> {
    fn by(
        conn: &mut PgConnection,
        wall: &mut Wall,
        tenant: &TenantInfo,
        jobs: &[&'a Job],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let (id, zone) = (tenant.id, tenant.zone.clone());
        let items: Vec<&Item> = jobs.iter().flat_map(|job| job.items()).collect();
        let mut wanted = Self {
            tenant: id,
            requests: jobs.iter().filter_map(|job| job.request()).map(key).collect(),
            accounts: jobs.iter().flat_map(|job| job.accounts()).collect(),
            holds: items.iter().filter_map(|item| item.order.hold()).collect(),
            books: Books::open(now, zone),
            items,
        };
        if !wanted.items.iter().all(|item| item.order.is_plain()) {
            wall.one(conn, id)?;
            wanted.look(conn)?;
        }
        Ok(wanted)
    }

    /// Finds which accounts are meant where an order does not say it, and which ids are in use.
    fn look(&mut self, conn: &mut PgConnection) -> Result<(), Error> {
        let (id, books) = (self.tenant, &mut self.books);
        find_taken(conn, id, &self.items, books)?;
        books.wanted = self.items.iter().flat_map(|item| item.order.originals()).collect();
        books.originals = links::originals(conn, id, &books.wanted)?;
        self.accounts.extend(holds::accounts(conn, id, &self.holds)?);
        self.accounts.extend(reversed_accounts(&self.items, &books.originals));
        Ok(())
    }

    fn lock(&self) -> Lock<'_> {
        Lock { tenant: self.tenant, accounts: &self.accounts, requests: &self.requests }
    }

    /// Adds what depends on the accounts, and gives the books.
    fn open(
        mut self,
        conn: &mut PgConnection,
        wall: &mut Wall,
        is_locked: bool,
    ) -> Result<Books, Error> {
        let now = self.books.now();
        let alone = |a: &LedgerAccount| !a.is_due(now) && !a.has_limits();
        let is_alone = self.holds.is_empty() && self.books.originals.is_empty();
        if is_alone && self.books.accounts.values().all(alone) {
            return Ok(self.books);
        }
        wall.one(conn, self.tenant)?;
        let (id, mut books) = (self.tenant, self.books);
        let next = find_expired(conn, id, &books, &mut self.holds)?;
        let mut holds = holds::select_all(conn, id, &self.holds)?;
        // One that was made since its account was looked for is not locked, and so not there.
        holds.retain(|_, hold| books.accounts.contains_key(&hold.account));
        books.holds = holds;
        let taken_of = entries(&self.items, &books.originals);
        links::read_totals(conn, id, &mut books.originals, &taken_of, is_locked)?;
        books.usages = limit_usages::select(conn, id, &usage_keys(&books), is_locked)?;
        // With the counts locked: whoever records an expiry changes them in the same transaction.
        books.lapse(holds::lapsed(conn, id, &books.limited_customers(), now)?);
        for (account, next) in next {
            books.expire(account, next);
        }
        Ok(books)
    }
}

/// Locks the calendars and the accounts. A tenant's first posting makes its calendar, or there
/// would be nothing that it and who closes a period could wait for each other at.
fn lock(
    conn: &mut PgConnection,
    wall: &mut Wall,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Locked>, Error> {
    let locks: Vec<Lock<'_>> = wanted.iter().map(Wanted::lock).collect();
    wall.all(conn)?;
    let locked = ledger_accounts::lock_all(conn, &locks)?;
    let is_new = |locked: &Locked| locked.closings.is_none() && !locked.accounts.is_empty();
    if !locked.iter().any(is_new) {
        return Ok(locked);
    }
    for (one, locked) in wanted.iter().zip(&locked) {
        if is_new(locked) {
            calendars::ensure(conn, one.tenant)?;
        }
    }
    ledger_accounts::lock_all(conn, &locks)
}

/// The ids that callers chose and that are in use.
fn find_taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    items: &[&Item],
    books: &mut Books,
) -> Result<(), Error> {
    let orders = || items.iter().map(|item| &item.order);
    let chosen = orders().filter_map(|order| order.draft()?.id).collect();
    let taken = transactions::taken(conn, tenant, chosen)?.into_iter();
    books.taken.extend(taken.map(|id| (Collection::Transactions, id.uuid())));
    let chosen = |order: &Order| match order {
        Order::Hold(hold) => hold.id,
        _ => None,
    };
    let taken = holds::taken(conn, tenant, orders().filter_map(chosen).collect())?.into_iter();
    books.taken.extend(taken.map(|id| (Collection::Holds, id.uuid())));
    let external = orders().flat_map(|order| {
        let (collection, ids) = match order {
            Order::Hold(hold) => (Collection::Holds, Some(&hold.external_ids)),
            other => (Collection::Transactions, other.draft().map(|draft| &draft.external_ids)),
        };
        let ids = ids.into_iter().flatten();
        ids.map(move |(kind, value)| (collection, kind.clone(), value.clone()))
    });
    books.external_ids = external_ids::taken(conn, tenant, &external.collect())?;
    Ok(())
}

/// The accounts of the transactions that are reversed.
fn reversed_accounts(
    items: &[&Item],
    originals: &BTreeMap<TransactionId, Original>,
) -> BTreeSet<AccountId> {
    let reversed = items.iter().filter_map(|item| match &item.order {
        Order::Reverse(reversal) => originals.get(&reversal.original),
        _ => None,
    });
    reversed.flat_map(|original| original.entries.iter().map(|entry| entry.account)).collect()
}

/// Adds the expired holds of the accounts that have some, and gives those accounts, each with when
/// it has to look again.
fn find_expired(
    conn: &mut PgConnection,
    tenant: TenantId,
    books: &Books,
    hold_ids: &mut BTreeSet<HoldId>,
) -> Result<Vec<(AccountId, Option<Timestamp>)>, Error> {
    let now = books.now();
    let due = books.accounts.values().filter(|account| account.is_due(now));
    let due: Vec<AccountId> = due.map(|account| account.id).collect();
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let (expired, next) = holds::expiring(conn, tenant, &due, now)?;
    hold_ids.extend(expired);
    Ok(due.into_iter().map(|account| (account, next.get(&account).copied())).collect())
}

/// The entries that links and reversals take of. Of a reversed transaction all: which ones it takes
/// is decided later.
fn entries(items: &[&Item], originals: &BTreeMap<TransactionId, Original>) -> BTreeSet<EntryRef> {
    if originals.is_empty() {
        return BTreeSet::new();
    }
    let mut entries = BTreeSet::new();
    for item in items {
        let links = item.order.draft().map_or(&[][..], |draft| &draft.links);
        entries.extend(links.iter().map(|link| link.entry));
        if let Order::Reverse(reversal) = &item.order {
            let transaction = reversal.original;
            let all = originals.get(&transaction).map_or(0, |original| original.entries.len());
            let indexes: Vec<i32> = match reversal.parts.as_slice() {
                [] => (0..).take(all).collect(),
                parts => parts.iter().map(|part| part.index).collect(),
            };
            entries.extend(indexes.into_iter().map(|index| EntryRef { transaction, index }));
        }
    }
    entries
}

/// Every count that an account or a hold may change.
fn usage_keys(books: &Books) -> BTreeSet<UsageKey> {
    let limits = books.accounts.values().flat_map(|account| {
        account.controls.iter().flat_map(move |controls| {
            let key = |limit: &crate::domain::Limit| limit.key(&controls.source, account);
            controls.limits.iter().filter_map(key)
        })
    });
    let counted = books.holds.values().flat_map(|hold| &hold.counted);
    limits.chain(counted.map(|counted| counted.key.clone())).collect()
}
