//! One batch in one database transaction: lock the accounts and look for outcomes, decide in
//! memory, write everything by set-based statements. The number of statements does not depend on
//! the number of orders; plain postings take two.

use std::collections::{BTreeMap, HashMap};

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Found};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::open::{Locks, Opened, open};
use super::write::{Known, write};
use super::{Answer, Ask, Item, Job, Key, Settled, key};
use crate::domain::{
    BATCH_ENTRIES_MAX, BatchId, Books, HoldId, Made, Order, Refusal, TransactionId,
};
use crate::error::Error;

/// Does a batch. Tenants are taken in the order of their ids, as the accounts within one are, so
/// that replicas lock in one order; each is worked on behind its own policy.
pub(super) fn post(
    conn: &mut PgConnection,
    jobs: &[Job],
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
        let group: Vec<&Job> = indexes.iter().map(|index| &jobs[*index]).collect();
        for (index, answer) in indexes.iter().zip(post_tenant(conn, tenant, &group, now)?) {
            answers[*index] = Some(answer);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

fn post_tenant(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&Job],
    now: Timestamp,
) -> Result<Vec<Answer>, Error> {
    let Opened { mut books, has_outcomes } = open(conn, jobs, now, Locks::Rows)?;
    let found = if has_outcomes { find_outcomes(conn, tenant, jobs)? } else { HashMap::new() };
    let known = Known::of(&books);
    // The first job with each request id, and its answer.
    let mut settled: HashMap<Key<'_>, usize> = HashMap::new();
    let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let request = job.request();
        let first = request.and_then(|request| settled.get(&key(request)));
        let answer = match (request.and_then(|request| found.get(&key(request))), first) {
            (Some(found), _) => replay(found, job),
            (None, Some(first)) => repeat(&answers[*first], jobs[*first], job),
            (None, None) => decide(&mut books, job).map(Settled::Done),
        };
        if let Some(request) = request.filter(|_| is_settled(&answer)) {
            settled.entry(key(request)).or_insert(answers.len());
        }
        answers.push(answer);
    }
    if !has_outcomes {
        check_open(conn, tenant, jobs, &answers)?;
    }
    let fresh = jobs.iter().zip(&answers).enumerate().filter(|(index, (job, _))| {
        let Some(request) = job.request() else { return false };
        !found.contains_key(&key(request)) && settled.get(&key(request)) == Some(index)
    });
    let fresh: Vec<(&Job, &Answer)> = fresh.map(|(_, (job, answer))| (*job, answer)).collect();
    write(conn, tenant, &fresh, &books, &known)?;
    Ok(answers)
}

/// Outcomes were looked for while the locks were waited for. What is decided now meets theirs when
/// it is written, but a refusal that leaves its id free is not: the id may be that of what was
/// waited for, whose repeat must not hear that its own condition does not hold any more.
fn check_open(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&Job],
    answers: &[Answer],
) -> Result<(), Error> {
    let open = jobs.iter().zip(answers).filter(|(_, answer)| !is_settled(answer));
    let open: Vec<&Job> = open.map(|(job, _)| *job).collect();
    match find_outcomes(conn, tenant, &open)?.is_empty() {
        true => Ok(()),
        false => Err(DbError::Contention.into()),
    }
}

/// The outcomes that are there already, by operation and request id.
fn find_outcomes<'a>(
    conn: &mut PgConnection,
    tenant: TenantId,
    jobs: &[&'a Job],
) -> Result<HashMap<Key<'a>, Found>, Error> {
    let keys: Vec<Key<'_>> = jobs.iter().filter_map(|job| job.request()).map(key).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut rows = outcome::find_all(conn, tenant, &keys)?;
    let found = keys.into_iter().filter_map(|key| {
        let row = rows.remove(&(key.0.to_owned(), key.1.to_owned()))?;
        Some((key, row))
    });
    Ok(found.collect())
}

/// Decides all orders of a job, or none: then the books are as they were.
pub(super) fn decide(books: &mut Books, job: &Job) -> Result<Vec<Made>, Error> {
    let Ask::Orders { batch, items, .. } = &job.ask else {
        // Whatever had expired was settled when the books were opened.
        return Ok(Vec::new());
    };
    let made = books.atomically(|books| {
        let (mut all, mut entries) = (Vec::with_capacity(items.len()), 0);
        for (index, item) in (0..).zip(items) {
            let place = batch.map(|batch| (batch, index));
            match decide_one(books, item, place) {
                Ok(made) => {
                    entries += made.transaction().map_or(0, |posted| posted.entries.len());
                    all.push(made);
                    if batch.is_some() && entries > BATCH_ENTRIES_MAX {
                        return Err(too_many_entries());
                    }
                }
                Err(refusal) if batch.is_some() => {
                    let error = Box::new(Error::Refused(refusal));
                    return Err(Error::Item { index, error });
                }
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Ok(all)
    })?;
    books.settle();
    Ok(made)
}

/// How many entries a reversal has is known only now. The answer has to fit into a message.
fn too_many_entries() -> Error {
    let sentence = format!("must have at most {BATCH_ENTRIES_MAX} entries");
    let problem = Problem::new(Reason::TooManyEntries, sentence).in_field("items");
    Error::Problem(problem.figure("limit", BATCH_ENTRIES_MAX))
}

fn decide_one(
    books: &mut Books,
    item: &Item,
    batch: Option<(BatchId, i32)>,
) -> Result<Made, Refusal> {
    let transaction = TransactionId::from_uuid(item.id);
    let events = books.changed.events.len();
    let mut made = match &item.order {
        Order::Post(draft) => Made::Transaction(books.post(transaction, draft)?.into()),
        Order::Reverse(reversal) => Made::Transaction(books.reverse(transaction, reversal)?.into()),
        Order::Hold(hold) => {
            Made::Hold(books.create_hold(HoldId::from_uuid(item.id), hold)?.into())
        }
        Order::Capture(capture) => {
            let (hold, posted) = books.capture(transaction, capture)?;
            Made::Capture(hold.into(), posted.into())
        }
        Order::Release(release) => Made::Hold(books.release_hold(release)?.into()),
        Order::Extend(extend) => Made::Hold(books.extend_hold(extend)?.into()),
        Order::Increase(increase) => Made::Hold(books.increase_hold(increase)?.into()),
    };
    if let Made::Transaction(posted) | Made::Capture(_, posted) = &mut made {
        posted.batch = batch;
    }
    books.place_events(events, batch);
    Ok(made)
}

/// An id that an earlier batch has settled.
fn replay(found: &Found, job: &Job) -> Answer {
    let Some(request) = job.request() else { return Ok(Settled::Done(Vec::new())) };
    match found.answer(request)? {
        Claim::Replayed(name) | Claim::Resumed(name) => Ok(Settled::Replayed(name)),
        Claim::New => Err(outcome::reused(&request.operation).into()),
    }
}

/// An id that came twice in this batch.
fn repeat(first: &Answer, before: &Job, job: &Job) -> Answer {
    if let (Some(earlier), Some(request)) = (before.request(), job.request())
        && earlier.hash != request.hash
    {
        return Err(outcome::reused(&request.operation).into());
    }
    match first {
        Ok(Settled::Done(_)) => Ok(Settled::Replayed(before.resource())),
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
