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

use super::{Answer, Posting, Settled};
use crate::domain::{
    AccountId, LedgerAccount, NewEntry, NewTransaction, Posted, TransactionId, decide,
};
use crate::error::Error;
use crate::store::transactions::StoredTransaction;
use crate::store::{ledger_accounts, postings, transactions};

/// The operation of every posting, by which a request id is found again.
pub(crate) const OPERATION: &str = "create-transaction";

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
    let request_ids = jobs.iter().map(|job| job.request.request_id.clone()).collect();
    let found = outcome::find_all(conn, tenant, OPERATION, request_ids)?;
    let chosen: Vec<TransactionId> = jobs.iter().filter_map(|job| job.transaction.id).collect();
    let mut taken = transactions::taken(conn, tenant, chosen)?;
    let ids: BTreeSet<AccountId> = jobs
        .iter()
        .filter(|job| !found.contains_key(&job.request.request_id))
        .flat_map(|job| job.transaction.entries.iter().map(|entry| entry.account))
        .collect();
    let accounts = ledger_accounts::lock(conn, tenant, &ids)?;
    let mut books = Books { accounts, touched: BTreeSet::new(), now };
    let mut settled: HashMap<&str, usize> = HashMap::new();
    let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let request_id = job.request.request_id.as_str();
        let answer = match (found.get(request_id), settled.get(request_id)) {
            (Some(found), _) => replay(found, job),
            (None, Some(first)) => repeat(&answers[*first], jobs[*first], job),
            (None, None) => books.post(job, &mut taken),
        };
        if is_settled(&answer) {
            settled.entry(request_id).or_insert(answers.len());
        }
        answers.push(answer);
    }
    write(conn, tenant, jobs, &answers, &settled, &found, &books)?;
    Ok(answers)
}

/// The accounts of a batch as its postings leave them.
struct Books {
    accounts: BTreeMap<AccountId, LedgerAccount>,
    touched: BTreeSet<AccountId>,
    now: Timestamp,
}

impl Books {
    fn post(&mut self, job: &Posting, taken: &mut BTreeSet<TransactionId>) -> Answer {
        check_known(&job.transaction, &self.accounts)?;
        if !taken.insert(job.id) {
            return Err(Error::IdTaken(job.id.name()));
        }
        let posted = decide(&mut self.accounts, &job.transaction, self.now);
        if posted.is_err() {
            taken.remove(&job.id);
        }
        let posted = posted.map_err(Error::Refused)?;
        self.touched.extend(job.transaction.entries.iter().map(|entry| entry.account));
        Ok(Settled::Posted(stored(job, posted)))
    }
}

/// An id that an earlier batch has settled.
fn replay(found: &Found, job: &Posting) -> Answer {
    match found.answer(&job.request)? {
        Claim::Replayed(name) | Claim::Resumed(name) => Ok(Settled::Replayed(name)),
        Claim::New => Err(outcome::reused(OPERATION).into()),
    }
}

/// An id that came twice in this batch.
fn repeat(first: &Answer, before: &Posting, job: &Posting) -> Answer {
    if before.request.hash != job.request.hash {
        return Err(outcome::reused(OPERATION).into());
    }
    match first {
        Ok(Settled::Posted(stored)) => Ok(Settled::Replayed(stored.id.name())),
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
    settled: &HashMap<&str, usize>,
    found: &HashMap<String, Found>,
    books: &Books,
) -> Result<(), Error> {
    let posted: Vec<&StoredTransaction> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(Settled::Posted(stored)) => Some(stored),
            _ => None,
        })
        .collect();
    let mut outcomes = Vec::with_capacity(settled.len());
    for (index, (job, answer)) in jobs.iter().zip(answers).enumerate() {
        let request_id = job.request.request_id.as_str();
        if found.contains_key(request_id) || settled.get(request_id) != Some(&index) {
            continue;
        }
        let result: Result<String, Problem> = match answer {
            Ok(Settled::Posted(stored)) => Ok(stored.id.name()),
            Ok(Settled::Replayed(name)) => Ok(name.clone()),
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

/// The accounts of a posting.
pub(crate) fn accounts_of(transaction: &NewTransaction) -> BTreeSet<AccountId> {
    transaction.entries.iter().map(|entry| entry.account).collect()
}

/// Whether the ledger knows every account of a posting.
pub(crate) fn check_known<V>(
    transaction: &NewTransaction,
    accounts: &BTreeMap<AccountId, V>,
) -> Result<(), Error> {
    let unknown = |(_, entry): &(usize, &NewEntry)| !accounts.contains_key(&entry.account);
    match transaction.entries.iter().enumerate().find(unknown) {
        Some((index, entry)) => Err(Error::UnknownAccount { index, account: entry.account }),
        None => Ok(()),
    }
}

/// A decided posting as it is stored.
pub(crate) fn stored(job: &Posting, posted: Posted) -> StoredTransaction {
    let transaction = &job.transaction;
    StoredTransaction {
        id: job.id,
        kind: transaction.kind.clone(),
        entries: posted.entries,
        description: transaction.description.clone(),
        labels: transaction.labels.clone(),
        effective_time: transaction.effective_time.unwrap_or(posted.record_time),
        record_time: posted.record_time,
        booking_date: posted.record_time.day_in(&job.tenant.zone),
    }
}
