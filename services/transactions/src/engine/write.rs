//! What a batch writes: outcomes, then the books. What another transaction has claimed since it was
//! looked for shows as a unique violation, upon which everything is decided again.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::changes;
use shared::commitment::Commitment;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::outcome;
use shared::problem::Problem;

use super::{Answer, Job, Settled};
use crate::domain::{
    Books, Changed, ExternalId, HELD, Hold, HoldId, LedgerAccount, Made, PostedTransaction, Usage,
    UsageKey,
};
use crate::error::Error;
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

/// Writes what jobs have settled, and the books as they are now.
pub(super) fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    fresh: &[(&Job, &Answer)],
    books: &Books,
    known: &Known,
) -> Result<(), Error> {
    let written = write_all(conn, tenant, fresh, books, known);
    written.map_err(|error| match DbError::from(error) {
        DbError::Unique(_) => DbError::Contention.into(),
        other => other.into(),
    })
}

fn write_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    fresh: &[(&Job, &Answer)],
    books: &Books,
    known: &Known,
) -> diesel::QueryResult<()> {
    let outcomes = outcomes(fresh);
    let Changed { accounts, holds: changed, entries, usages, events, days } = &books.changed;
    let accounts: Vec<&LedgerAccount> =
        accounts.iter().filter_map(|id| books.accounts.get(id)).collect();
    let time = accounts.iter().map(|account| account.record_time).max();
    let time = time.map_or(books.now(), |time| time.max(books.now()));
    let refused = outcomes.iter().filter(|outcome| outcome.result.is_err());
    let names = refused.map(|one| format!("{}/{}", one.request.operation, one.request.request_id));
    changes::insert(conn, tenant, "request.rejected", names.collect(), time)?;
    if accounts.is_empty() {
        return outcome::insert_all(conn, tenant, &outcomes);
    }
    let posted: Vec<&PostedTransaction> = fresh
        .iter()
        .filter_map(|(_, answer)| match answer {
            Ok(Settled::Done(made)) => Some(made),
            _ => None,
        })
        .flatten()
        .filter_map(Made::transaction)
        .collect();
    // Before the links, which the database compares with them.
    let entries = entries.iter().filter_map(|entry| {
        let original = books.originals.get(&entry.transaction)?.entry(entry.index)?;
        Some((*entry, *original))
    });
    links::write_totals(conn, tenant, &entries.collect::<Vec<_>>())?;
    postings::write(conn, tenant, &outcomes, &posted, &accounts, time)?;
    let changed = changed.iter().filter_map(|id| books.holds.get(id));
    let (old, new): (Vec<&Hold>, Vec<&Hold>) =
        changed.partition(|hold| known.holds.contains(&hold.id));
    holds::insert(conn, tenant, &new)?;
    holds::update(conn, tenant, &old)?;
    hold_events::insert(conn, tenant, events)?;
    hold_texts::insert(conn, tenant, &new, events)?;
    let names = events.iter().map(|event| format!("{}/{}", event.hold.uuid(), event.seq));
    changes::insert(conn, tenant, HELD, names.collect(), time)?;
    external_ids::insert(conn, tenant, &new_external_ids(books, known, &posted))?;
    let usages = usages.iter().filter_map(|key| Some((key, books.usages.get(key)?)));
    let (old, new): (Vec<(&UsageKey, &Usage)>, Vec<_>) =
        usages.partition(|(key, _)| known.usages.contains(*key));
    limit_usages::write(conn, tenant, &new, &old)?;
    day_totals::add(conn, tenant, days)
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

/// What the jobs with a request id have come to.
fn outcomes<'a>(fresh: &[(&'a Job, &Answer)]) -> Vec<outcome::Settled<'a>> {
    let outcome = |(job, answer): &(&'a Job, &Answer)| {
        let request = job.request()?;
        let result: Result<String, Problem> = match answer {
            Ok(_) => Ok(job.resource()),
            Err(error) => Err(error.to_problem()),
        };
        Some(outcome::Settled { request, result })
    };
    fresh.iter().filter_map(outcome).collect()
}
