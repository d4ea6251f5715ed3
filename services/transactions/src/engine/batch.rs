//! One batch in one database transaction: find the outcomes, lock the accounts, decide in memory,
//! write everything by set-based statements. The number of statements does not depend on the number
//! of postings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Found};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::{Answer, Item, Posting, Settled};
use crate::domain::{
    AccountId, BatchId, LedgerAccount, NewEntry, NewTransaction, TransactionId, decide,
};
use crate::error::Error;
use crate::store::transactions::StoredTransaction;
use crate::store::{ledger_accounts, postings, transactions};

/// Posts a batch. Tenants are taken in the order of their ids, as the accounts within one are, so
/// that replicas lock in one order; each is worked on behind its own policy.
pub(super) fn post(
    conn: &mut PgConnection,
    jobs: &[Posting],
    now: Timestamp,
    several_tenants: bool,
) -> Result<Vec<Answer>, Error> {
    let mut by_tenant: BTreeMap<TenantId, Vec<usize>> = BTreeMap::new();
    for (index, job) in jobs.iter().enumerate() {
        by_tenant.entry(job.tenant.id).or_default().push(index);
    }
    let mut answers: Vec<Option<Answer>> = jobs.iter().map(|_| None).collect();
    for (tenant, indexes) in by_tenant {
        if several_tenants {
            let enter = format!("SET LOCAL strongroom.tenant = '{}'", tenant.uuid());
            conn.batch_execute(&enter)?;
        }
        let group: Vec<&Posting> = indexes.iter().map(|index| &jobs[*index]).collect();
        for (index, answer) in indexes.iter().zip(post_tenant(conn, tenant, &group, now)?) {
            answers[*index] = Some(answer);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

fn post_tenant(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&Posting],
    now: Timestamp,
) -> Result<Vec<Answer>, Error> {
    let found = find_outcomes(conn, tenant, jobs)?;
    let new = || jobs.iter().filter(|job| !found.contains_key(&key(job)));
    let chosen = new().flat_map(|job| &job.items).filter_map(|item| item.transaction.id);
    let taken = transactions::taken(conn, tenant, chosen.collect())?;
    let ids: BTreeSet<AccountId> = new().flat_map(|job| job.accounts()).collect();
    let accounts = ledger_accounts::lock(conn, tenant, &ids)?;
    let mut books = Books { accounts, taken, touched: BTreeSet::new(), now };
    let mut settled: HashMap<Key, usize> = HashMap::new();
    let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let answer = match (found.get(&key(job)), settled.get(&key(job))) {
            (Some(found), _) => replay(found, job),
            (None, Some(first)) => repeat(&answers[*first], jobs[*first], job),
            (None, None) => books.post(job).map(Settled::Posted),
        };
        if is_settled(&answer) {
            settled.entry(key(job)).or_insert(answers.len());
        }
        answers.push(answer);
    }
    write(conn, tenant, jobs, &answers, &settled, &found, &books)?;
    Ok(answers)
}

/// A request id and its operation.
type Key<'a> = (&'a str, &'a str);

fn key(job: &Posting) -> Key<'_> {
    (&job.request.operation, &job.request.request_id)
}

/// The outcomes that are there already, by operation and request id.
fn find_outcomes<'a>(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&'a Posting],
) -> Result<HashMap<Key<'a>, Found>, Error> {
    let keys: Vec<Key<'_>> = jobs.iter().map(|job| key(job)).collect();
    let mut rows = outcome::find_all(conn, tenant, &keys)?;
    let found = keys.into_iter().filter_map(|key| {
        let row = rows.remove(&(key.0.to_owned(), key.1.to_owned()))?;
        Some((key, row))
    });
    Ok(found.collect())
}

/// Decides a posting in a snapshot, and leaves no trace.
pub(crate) fn preview(
    conn: &mut PgConnection,
    job: &Posting,
    now: Timestamp,
) -> Result<Vec<StoredTransaction>, Error> {
    let tenant = job.tenant.id;
    let chosen = job.items.iter().filter_map(|item| item.transaction.id).collect();
    let taken = transactions::taken(conn, tenant, chosen)?;
    let accounts = ledger_accounts::select_all(conn, tenant, &job.accounts())?;
    Books { accounts, taken, touched: BTreeSet::new(), now }.post(job)
}

/// The accounts of a batch as its postings leave them.
struct Books {
    accounts: BTreeMap<AccountId, LedgerAccount>,
    /// The transaction ids that are in use.
    taken: BTreeSet<TransactionId>,
    touched: BTreeSet<AccountId>,
    now: Timestamp,
}

impl Books {
    /// Posts all items, or none: then the books are as they were.
    fn post(&mut self, job: &Posting) -> Result<Vec<StoredTransaction>, Error> {
        let several = job.items.len() > 1;
        let before = if several { self.copy(job) } else { Vec::new() };
        let mut posted = Vec::with_capacity(job.items.len());
        for (index, item) in (0..).zip(&job.items) {
            let place = job.batch.map(|batch| (batch, index));
            match self.post_item(job, item, place) {
                Ok(stored) => posted.push(stored),
                Err(error) => {
                    let old = before.into_iter().map(|account| (account.id, account));
                    self.accounts.extend(old);
                    for stored in &posted {
                        self.taken.remove(&stored.id);
                    }
                    return Err(match job.batch {
                        Some(_) => Error::Item { index, error: Box::new(error) },
                        None => error,
                    });
                }
            }
        }
        self.touched.extend(job.accounts());
        Ok(posted)
    }

    fn copy(&self, job: &Posting) -> Vec<LedgerAccount> {
        let accounts = job.accounts();
        accounts.iter().filter_map(|id| self.accounts.get(id)).cloned().collect()
    }

    fn post_item(
        &mut self,
        job: &Posting,
        item: &Item,
        batch: Option<(BatchId, i32)>,
    ) -> Result<StoredTransaction, Error> {
        let transaction = &item.transaction;
        check_known(transaction, &self.accounts)?;
        if self.taken.contains(&item.id) {
            return Err(Error::IdTaken(item.id.name()));
        }
        let posted = decide(&mut self.accounts, transaction, self.now).map_err(Error::Refused)?;
        self.taken.insert(item.id);
        Ok(StoredTransaction {
            id: item.id,
            kind: transaction.kind.clone(),
            entries: posted.entries,
            description: transaction.description.clone(),
            labels: transaction.labels.clone(),
            effective_time: transaction.effective_time.unwrap_or(posted.record_time),
            record_time: posted.record_time,
            booking_date: posted.record_time.day_in(&job.tenant.zone),
            batch,
        })
    }
}

/// Whether the ledger knows every account of a transaction.
fn check_known(
    transaction: &NewTransaction,
    accounts: &BTreeMap<AccountId, LedgerAccount>,
) -> Result<(), Error> {
    let unknown = |(_, entry): &(usize, &NewEntry)| !accounts.contains_key(&entry.account);
    match transaction.entries.iter().enumerate().find(unknown) {
        Some((index, entry)) => Err(Error::UnknownAccount { index, account: entry.account }),
        None => Ok(()),
    }
}

/// An id that an earlier batch has settled.
fn replay(found: &Found, job: &Posting) -> Answer {
    match found.answer(&job.request)? {
        Claim::Replayed(name) | Claim::Resumed(name) => Ok(Settled::Replayed(name)),
        Claim::New => Err(outcome::reused(&job.request.operation).into()),
    }
}

/// An id that came twice in this batch.
fn repeat(first: &Answer, before: &Posting, job: &Posting) -> Answer {
    if before.request.hash != job.request.hash {
        return Err(outcome::reused(&job.request.operation).into());
    }
    match first {
        Ok(Settled::Posted(_)) => Ok(Settled::Replayed(before.resource())),
        Ok(Settled::Replayed(name)) => Ok(Settled::Replayed(name.clone())),
        Err(error) => Err(error.to_problem().into()),
    }
}

/// Whether an answer is frozen under its request id.
fn is_settled(answer: &Answer) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => error.to_problem().is_frozen(),
    }
}

/// Writes what is new. What another transaction has claimed since it was looked for shows as a
/// unique violation, upon which everything is decided again.
fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&Posting],
    answers: &[Answer],
    settled: &HashMap<Key<'_>, usize>,
    found: &HashMap<Key<'_>, Found>,
    books: &Books,
) -> Result<(), Error> {
    let posted: Vec<&StoredTransaction> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(Settled::Posted(stored)) => Some(stored),
            _ => None,
        })
        .flatten()
        .collect();
    let mut outcomes = Vec::with_capacity(settled.len());
    for (index, (job, answer)) in jobs.iter().zip(answers).enumerate() {
        if found.contains_key(&key(job)) || settled.get(&key(job)) != Some(&index) {
            continue;
        }
        let result: Result<String, Problem> = match answer {
            Ok(_) => Ok(job.resource()),
            Err(error) => Err(error.to_problem()),
        };
        outcomes.push(outcome::Settled { request: &job.request, result });
    }
    let again = |error: diesel::result::Error| match DbError::from(error) {
        DbError::Unique(_) => DbError::Contention,
        other => other,
    };
    if !outcomes.is_empty() {
        outcome::insert_all(conn, tenant, &outcomes).map_err(again)?;
    }
    if !posted.is_empty() {
        let touched: Vec<&LedgerAccount> =
            books.touched.iter().filter_map(|id| books.accounts.get(id)).collect();
        postings::write(conn, tenant, &posted, &touched).map_err(again)?;
    }
    Ok(())
}
