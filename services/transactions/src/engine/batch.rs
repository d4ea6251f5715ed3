//! One batch in one database transaction: lock the accounts and look for outcomes, decide in
//! memory, write everything by set-based statements. The number of statements does not depend on
//! the number of orders, nor, for plain postings, on that of tenants: they take two.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use diesel::PgConnection;
use shared::db::{DbError, Wall};
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Found};
use shared::problem::{Problem, Reason};
use shared::tenants::TenantInfo;
use shared::time::Timestamp;

use super::open::{Opened, open};
use super::write::{Known, Settlement, write};
use super::{Answer, Ask, Item, Job, Key, Settled, key};
use crate::domain::{
    BATCH_ENTRIES_MAX, BatchId, Books, HoldId, Made, Order, Refusal, TransactionId,
};
use crate::error::Error;

/// The jobs of one tenant.
pub(super) struct Group<'a> {
    pub(super) tenant: &'a Arc<TenantInfo>,
    pub(super) jobs: Vec<&'a Job>,
    /// Their places in the batch.
    places: Vec<usize>,
}

/// Does a batch. Tenants are taken in the order of their ids, as the accounts within one are, so
/// that replicas lock in one order.
pub(super) fn post(
    conn: &mut PgConnection,
    jobs: &[Job],
    now: Timestamp,
) -> Result<Vec<Answer>, Error> {
    let groups = by_tenant(jobs);
    let mut wall = Wall::around(groups.iter().map(|group| group.tenant.id));
    let opened = open(conn, &mut wall, &groups, now)?;
    let mut settlements = Vec::with_capacity(groups.len());
    for (group, opened) in groups.iter().zip(opened) {
        settlements.push(settle(conn, &mut wall, group, opened)?);
    }
    write(conn, &mut wall, &settlements)?;
    let mut all: Vec<(usize, Answer)> = Vec::with_capacity(jobs.len());
    for (group, settlement) in groups.iter().zip(settlements) {
        all.extend(group.places.iter().copied().zip(settlement.answers));
    }
    all.sort_unstable_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, answer)| answer).collect())
}

fn by_tenant(jobs: &[Job]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<TenantId, Group<'_>> = BTreeMap::new();
    for (place, job) in jobs.iter().enumerate() {
        let (tenant, jobs, places) = (&job.tenant, Vec::new(), Vec::new());
        let group = groups.entry(tenant.id).or_insert(Group { tenant, jobs, places });
        group.jobs.push(job);
        group.places.push(place);
    }
    groups.into_values().collect()
}

/// Decides the jobs of one tenant.
fn settle<'a>(
    conn: &mut PgConnection,
    wall: &mut Wall,
    group: &Group<'a>,
    opened: Opened,
) -> Result<Settlement<'a>, Error> {
    let (tenant, jobs) = (group.tenant.id, &group.jobs);
    let Opened { mut books, places, has_outcomes } = opened;
    let found = match has_outcomes {
        true => find_outcomes(conn, wall, tenant, jobs)?,
        false => HashMap::new(),
    };
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
        check_open(conn, wall, group, &answers)?;
    }
    let mut fresh: Vec<usize> = settled.into_values().collect();
    fresh.retain(|index| jobs[*index].request().is_some_and(|r| !found.contains_key(&key(r))));
    fresh.sort_unstable();
    let jobs = group.jobs.clone();
    Ok(Settlement { tenant, jobs, answers, fresh, books, places, known })
}

/// Outcomes were looked for while the locks were waited for. What is decided now meets theirs when
/// it is written, but a refusal that leaves its id free is not: the id may be that of what was
/// waited for, whose repeat must not hear that its own condition does not hold any more.
fn check_open(
    conn: &mut PgConnection,
    wall: &mut Wall,
    group: &Group<'_>,
    answers: &[Answer],
) -> Result<(), Error> {
    let open = group.jobs.iter().zip(answers).filter(|(_, answer)| !is_settled(answer));
    let open: Vec<&Job> = open.map(|(job, _)| *job).collect();
    match find_outcomes(conn, wall, group.tenant.id, &open)?.is_empty() {
        true => Ok(()),
        false => Err(DbError::Contention.into()),
    }
}

/// The outcomes that are there already, by operation and request id.
fn find_outcomes<'a>(
    conn: &mut PgConnection,
    wall: &mut Wall,
    tenant: TenantId,
    jobs: &[&'a Job],
) -> Result<HashMap<Key<'a>, Found>, Error> {
    let keys: Vec<Key<'_>> = jobs.iter().filter_map(|job| job.request()).map(key).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    wall.one(conn, tenant)?;
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
