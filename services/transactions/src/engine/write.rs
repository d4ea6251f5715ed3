//! What a batch writes: outcomes, then the books. What another transaction has claimed since it was
//! looked for shows as a unique violation, upon which everything is decided again.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::changes;
use shared::commitment::Commitment;
use shared::db::{DbError, Wall};
use shared::ids::TenantId;
use shared::outcome::{self, Request};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::{Answer, Job, Settled};
use crate::domain::{
    AccountId, Books, Changed, ExternalId, HELD, Hold, HoldId, LedgerAccount, Made,
    PostedTransaction, Usage, UsageKey,
};
use crate::error::Error;
use crate::store::place::Place;
use crate::store::postings::Addition;
use crate::store::{
    day_totals, external_ids, hold_events, hold_texts, holds, limit_usages, links, postings,
};

/// What was there when the books were opened; all else is new.
pub(super) struct Known {
    holds: BTreeSet<HoldId>,
    usages: BTreeSet<UsageKey>,
    external_ids: BTreeSet<ExternalId>,
}

impl Known {
    pub(super) fn of(books: &Books) -> Self {
        Self {
            holds: books.holds.keys().copied().collect(),
            usages: books.usages.keys().cloned().collect(),
            external_ids: books.external_ids.keys().cloned().collect(),
        }
    }
}

/// What was decided for one tenant.
pub(super) struct Settlement<'a> {
    pub(super) tenant: TenantId,
    pub(super) jobs: Vec<&'a Job>,
    /// To each job.
    pub(super) answers: Vec<Answer>,
    /// Which of the jobs have settled their request ids now.
    pub(super) fresh: Vec<usize>,
    /// As they are now.
    pub(super) books: Books,
    /// Where its accounts were locked.
    pub(super) places: BTreeMap<AccountId, Place>,
    pub(super) known: Known,
}

/// Writes what was decided: what all postings have for all tenants at once, what only some have for
/// each tenant by itself.
pub(super) fn write(
    conn: &mut PgConnection,
    wall: &mut Wall,
    settlements: &[Settlement<'_>],
) -> Result<(), Error> {
    let written = write_all(conn, wall, settlements);
    written.map_err(|error| match DbError::from(error) {
        DbError::Unique(_) => DbError::Contention.into(),
        other => other.into(),
    })
}

fn write_all(
    conn: &mut PgConnection,
    wall: &mut Wall,
    settlements: &[Settlement<'_>],
) -> diesel::QueryResult<()> {
    let outcomes: Vec<outcome::Settled<'_>> =
        settlements.iter().flat_map(Settlement::outcomes).collect();
    let additions: Vec<Addition<'_>> = settlements.iter().map(Settlement::addition).collect();
    if additions.iter().any(|addition| !addition.accounts.is_empty()) {
        wall.all(conn)?;
        postings::write(conn, &outcomes, &additions)?;
    } else if !outcomes.is_empty() {
        wall.all(conn)?;
        outcome::insert_all(conn, &outcomes)?;
    }
    for (settlement, addition) in settlements.iter().zip(&additions) {
        if settlement.is_more_than(addition) {
            wall.one(conn, settlement.tenant)?;
            settlement.write(conn, addition)?;
        }
    }
    Ok(())
}

impl Settlement<'_> {
    fn fresh(&self) -> impl Iterator<Item = (&Job, &Answer)> {
        self.fresh.iter().map(|index| (self.jobs[*index], &self.answers[*index]))
    }

    /// What the jobs with a request id have come to.
    fn outcomes(&self) -> impl Iterator<Item = outcome::Settled<'_>> {
        self.fresh().filter_map(|(job, answer)| {
            let request = job.request()?;
            let result: Result<String, Problem> = match answer {
                Ok(_) => Ok(job.resource()),
                Err(error) => Err(error.to_problem()),
            };
            Some(outcome::Settled { request, result })
        })
    }

    fn addition(&self) -> Addition<'_> {
        let changed = self.books.changed.accounts.iter();
        let changed = changed.filter_map(|id| self.books.accounts.get(id));
        let place = |id| self.places.get(id).copied().unwrap_or_default();
        let accounts: Vec<(&LedgerAccount, Place)> =
            changed.map(|account| (account, place(&account.id))).collect();
        let now = self.books.now();
        let time = accounts.iter().map(|(account, _)| account.record_time);
        let time = time.fold(now, Timestamp::max);
        let made = self.fresh().filter_map(|(_, answer)| match answer {
            Ok(Settled::Done(made)) => Some(made),
            _ => None,
        });
        let transactions = made.flatten().filter_map(Made::transaction).collect();
        Addition { tenant: self.tenant, transactions, accounts, time }
    }

    /// The requests that were refused for good.
    fn refused(&self) -> impl Iterator<Item = &Request> {
        let refused = self.fresh().filter(|(_, answer)| answer.is_err());
        refused.filter_map(|(job, _)| job.request())
    }

    /// Whether there is more to write than what all postings have.
    fn is_more_than(&self, addition: &Addition<'_>) -> bool {
        self.books.changed.is_more_than_balances()
            || addition.transactions.iter().any(|posted| posted.has_attributes())
            || self.refused().next().is_some()
    }

    fn write(&self, conn: &mut PgConnection, addition: &Addition<'_>) -> diesel::QueryResult<()> {
        let Self { tenant, books, known, .. } = self;
        let (tenant, time) = (*tenant, addition.time);
        let Changed { accounts: _, holds: changed, entries, usages, events, days } = &books.changed;
        let names = self.refused().map(|one| format!("{}/{}", one.operation, one.request_id));
        changes::insert(conn, tenant, "request.rejected", names.collect(), time)?;
        // Before the links, which the database compares with them.
        let entries = entries.iter().filter_map(|entry| {
            let original = books.originals.get(&entry.transaction)?.entry(entry.index)?;
            Some((*entry, *original))
        });
        links::write_totals(conn, tenant, &entries.collect::<Vec<_>>())?;
        postings::write_attributes(conn, tenant, &addition.transactions)?;
        let changed = changed.iter().filter_map(|id| books.holds.get(id));
        let (old, new): (Vec<&Hold>, Vec<&Hold>) =
            changed.partition(|hold| known.holds.contains(&hold.id));
        holds::insert(conn, tenant, &new)?;
        holds::update(conn, tenant, &old)?;
        hold_events::insert(conn, tenant, events)?;
        hold_texts::insert(conn, tenant, &new, events)?;
        let names = events.iter().map(|event| format!("{}/{}", event.hold.uuid(), event.seq));
        changes::insert(conn, tenant, HELD, names.collect(), time)?;
        let external = new_external_ids(books, known, &addition.transactions);
        external_ids::insert(conn, tenant, &external)?;
        let usages = usages.iter().filter_map(|key| Some((key, books.usages.get(key)?)));
        let (old, new): (Vec<(&UsageKey, &Usage)>, Vec<_>) =
            usages.partition(|(key, _)| known.usages.contains(*key));
        limit_usages::write(conn, tenant, &new, &old)?;
        day_totals::add(conn, tenant, days)
    }
}

/// The external ids that are new, each with its commitment: those of transactions have been made
/// with their leaves.
fn new_external_ids(
    books: &Books,
    known: &Known,
    posted: &[&PostedTransaction],
) -> Vec<(ExternalId, uuid::Uuid, Commitment)> {
    let posted: BTreeMap<uuid::Uuid, &PostedTransaction> =
        posted.iter().map(|posted| (posted.id.uuid(), *posted)).collect();
    let new = books.external_ids.iter().filter(|(id, _)| !known.external_ids.contains(*id));
    let commit = |(id, holder): (&ExternalId, &uuid::Uuid)| {
        let (_, kind, value) = id;
        let made = posted.get(holder).and_then(|posted| posted.commitments.external_ids.get(kind));
        let new = || Commitment::new(&format!("external_ids/{kind}"), value);
        (id.clone(), *holder, made.cloned().unwrap_or_else(new))
    };
    new.map(commit).collect()
}
