//! What a batch needs to know, read under its locks: accounts first, then what depends on them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::{Item, Job};
use crate::domain::{
    AccountId, Books, Collection, EntryRef, HoldId, Order, Original, TransactionId, UsageKey,
};
use crate::error::Error;
use crate::store::ledger_accounts::Locked;
use crate::store::{
    calendars, external_ids, holds, ledger_accounts, limit_usages, links, transactions,
};

/// Whether what is read will be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locks {
    /// It will: nobody else changes it meanwhile. Locks are taken in the house's order: accounts,
    /// originals, counts.
    Rows,
    /// It will not.
    None,
}

/// Books, and whether any of the jobs' requests has an outcome already.
pub(super) struct Opened {
    pub(super) books: Books,
    pub(super) has_outcomes: bool,
}

/// Opens the books for the jobs of one tenant. Plain postings cost one statement; each other kind
/// of order its own, once for all of them.
pub(super) fn open(
    conn: &mut PgConnection,
    jobs: &[&Job],
    now: Timestamp,
    locks: Locks,
) -> Result<Opened, Error> {
    let Some(tenant) = jobs.first().map(|job| &job.tenant) else {
        let books = Books::open(now, jiff::tz::TimeZone::UTC);
        return Ok(Opened { books, has_outcomes: false });
    };
    let (id, is_locked) = (tenant.id, locks == Locks::Rows);
    let mut books = Books::open(now, tenant.zone.clone());
    let items: Vec<&Item> = jobs.iter().flat_map(|job| job.items()).collect();
    find_taken(conn, id, &items, &mut books)?;
    let wanted: BTreeSet<TransactionId> =
        items.iter().flat_map(|item| item.order.originals()).collect();
    books.originals = links::originals(conn, id, &wanted)?;
    let mut hold_ids: BTreeSet<HoldId> =
        items.iter().filter_map(|item| item.order.hold()).collect();
    let mut accounts: BTreeSet<AccountId> = jobs.iter().flat_map(|job| job.accounts()).collect();
    accounts.extend(holds::accounts(conn, id, &hold_ids)?);
    accounts.extend(reversed_accounts(&items, &books.originals));
    let requests: Vec<(&str, &str)> =
        jobs.iter().filter_map(|job| job.request()).map(super::key).collect();
    let mut has_outcomes = false;
    match locks {
        Locks::Rows => {
            let locked = lock(conn, id, &accounts, &requests)?;
            has_outcomes = locked.has_outcomes;
            books.accounts = locked.accounts;
            books.closings = locked.closings.unwrap_or_default();
        }
        Locks::None => {
            books.accounts = ledger_accounts::select_all(conn, id, &accounts)?;
            books.closings = calendars::select(conn, id)?;
        }
    }
    let next = find_expired(conn, id, &books, &mut hold_ids)?;
    let mut holds = holds::select_all(conn, id, &hold_ids)?;
    // One that was made since its account was looked for is not locked, and so not there.
    holds.retain(|_, hold| books.accounts.contains_key(&hold.account));
    books.holds = holds;
    let taken_of = entries(&items, &books.originals);
    links::read_totals(conn, id, &mut books.originals, &taken_of, is_locked)?;
    books.usages = limit_usages::select(conn, id, &usage_keys(&books), is_locked)?;
    // With the counts locked: whoever records an expiry changes them in the same transaction.
    books.lapse(holds::lapsed(conn, id, &books.limited_customers(), now)?);
    books.wanted = wanted;
    for (account, next) in next {
        books.expire(account, next);
    }
    Ok(Opened { books, has_outcomes })
}

/// Locks the calendar and the accounts. A tenant's first posting makes its calendar, or there would
/// be nothing that it and who closes a period could wait for each other at.
fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: &BTreeSet<AccountId>,
    requests: &[(&str, &str)],
) -> Result<Locked, Error> {
    let locked = ledger_accounts::lock(conn, tenant, accounts, requests)?;
    if locked.closings.is_some() || locked.accounts.is_empty() {
        return Ok(locked);
    }
    calendars::ensure(conn, tenant)?;
    ledger_accounts::lock(conn, tenant, accounts, requests)
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
    let due = books.accounts.values().filter(|a| a.next_expiry.is_some_and(|time| time <= now));
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
