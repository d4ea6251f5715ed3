//! The hot path: many callers' new records, reads and entries of the access log in one database
//! transaction, an answer for each.
//!
//! Whoever reads is answered after the commit that holds the entry, so nothing leaves unlogged. A
//! batch takes a few set-based statements, however many callers it has.

mod create;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::clock::Clock;
use shared::db::{DbError, Scope, Session, Wall};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::lane::Worker;
use shared::outcome::Request;
use shared::problem::Problem;
use shared::sequence::Nudge;
use shared::time::Timestamp;

use crate::domain::access::Access;
use crate::domain::reading::Reading;
use crate::domain::record::{Record, RecordId};
use crate::error::Error;
use crate::store::accesses;
use crate::store::key_chains::KeyChain;
use crate::store::record_index::{IndexRow, IndexToken};
use crate::store::records::Sealed;
use crate::vault::{Loose, OpenKeys};

/// So many bytes of content weigh as much as a job without any.
const BYTES_PER_WEIGHT: usize = 4096;

/// What is asked of the engine.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) tenant: TenantId,
    pub(crate) ask: Ask,
}

/// What a job asks for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// A new record.
    Create(Arc<Create>),
    /// What some records hold.
    Read(Arc<Read>),
    /// Entries of the access log alone.
    Log(Arc<[Access]>),
}

/// A new record.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) record: Record,
    /// Whether the caller chose its id.
    pub(crate) is_chosen: bool,
    /// Its content, or why it cannot be sealed.
    pub(crate) content: Result<NewContent, Problem>,
    pub(crate) request: Option<Request>,
    pub(crate) access: Access,
}

/// The content of a new record.
#[derive(Debug)]
pub(crate) struct NewContent {
    pub(crate) sealed: Loose,
    /// What stands for its values in indexes.
    pub(crate) tokens: Vec<IndexToken>,
}

/// Reads of some records: all of them or none.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) reading: Reading,
    pub(crate) targets: Vec<Target>,
}

/// A record that is to be read.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: RecordId,
    /// The version; the last where it is 0.
    pub(crate) version: i64,
    /// The entry, but for what is not known yet.
    pub(crate) access: Access,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Done {
    /// The record was created.
    Created,
    /// It was created before, as this resource.
    Replayed(String),
    /// Nothing was done: this chain has to be opened first.
    NeedsKey(Box<KeyChain>),
    /// These may be read, and it is logged that they were.
    Seen(Vec<Seen>),
    /// It is logged.
    Logged,
}

/// A record that may be read.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The record, as of the version that was wanted.
    pub(crate) record: Record,
    /// The sealed content, where content was wanted; a large body is not in it.
    pub(crate) sealed: Option<Sealed>,
    /// Its key chain.
    pub(crate) chain: Option<KeyChain>,
    /// What stands for its content in indexes.
    pub(crate) index: Vec<IndexRow>,
    /// What was logged.
    pub(crate) access: Access,
}

/// The answer to one job.
pub(crate) type Answer = Result<Done, Problem>;

/// The worker of a lane.
pub(crate) struct Engine {
    pub(crate) session: Session,
    pub(crate) keys: OpenKeys,
    pub(crate) clock: Clock,
    /// How long a batch may take.
    pub(crate) timeout: Duration,
    /// Who is told of what was committed.
    pub(crate) nudge: Nudge,
}

impl Worker for Engine {
    type Job = Job;
    type Answer = Answer;

    fn weight(job: &Job) -> usize {
        match &job.ask {
            Ask::Create(create) => {
                let bytes = create.content.as_ref().map_or(0, |content| content.sealed.body.len());
                1 + bytes / BYTES_PER_WEIGHT
            }
            Ask::Read(read) => read.targets.len(),
            Ask::Log(entries) => entries.len(),
        }
    }

    fn run(&mut self, jobs: Vec<Job>) -> Vec<Answer> {
        let deadline = Deadline::after(self.timeout);
        let answers = self.batch(&jobs, deadline);
        let tenants: BTreeSet<TenantId> = jobs.iter().map(|job| job.tenant).collect();
        for tenant in tenants {
            self.nudge.tenant(tenant);
        }
        answers
    }
}

impl Engine {
    /// Does a batch. Where it fails as a whole it is halved, so that what made it fail is left
    /// alone with its failure. All halves share one deadline, or a row that somebody keeps locked
    /// would hold up the lane once for each job that wants it.
    fn batch(&mut self, jobs: &[Job], deadline: Deadline) -> Vec<Answer> {
        let scope = Scope::of(jobs.iter().map(|job| job.tenant), deadline);
        let (clock, keys) = (&self.clock, &self.keys);
        let done =
            self.session.write("records_batch", scope, |conn| work(conn, keys, jobs, clock.now()));
        let error = match done {
            Ok(answers) => return answers,
            Err(error) => error,
        };
        let is_lost = matches!(
            error,
            Error::Db(DbError::Unavailable(_) | DbError::Closed | DbError::CommitUnknown)
        );
        // Halves would fare no better, or must not be tried.
        if jobs.len() == 1 || is_lost || deadline.remaining().is_zero() {
            let problem = Problem::from(error);
            return jobs.iter().map(|_| Err(problem.clone())).collect();
        }
        tracing::warn!(%error, jobs = jobs.len(), "a batch failed as a whole");
        let (first, second) = jobs.split_at(jobs.len() / 2);
        let mut answers = self.batch(first, deadline);
        answers.extend(self.batch(second, deadline));
        answers
    }
}

/// Works on tenants in the order of their ids, each behind its own policy.
fn work(
    conn: &mut PgConnection,
    keys: &OpenKeys,
    jobs: &[Job],
    now: Timestamp,
) -> Result<Vec<Answer>, Error> {
    let mut by_tenant: BTreeMap<TenantId, Vec<usize>> = BTreeMap::new();
    for (index, job) in jobs.iter().enumerate() {
        by_tenant.entry(job.tenant).or_default().push(index);
    }
    let mut answers: Vec<Answer> = jobs.iter().map(|_| Ok(Done::Logged)).collect();
    let mut wall = Wall::around(by_tenant.keys().copied());
    for (tenant, indexes) in by_tenant {
        wall.one(conn, tenant)?;
        let (mut creates, mut reads, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for index in indexes {
            match &jobs[index].ask {
                Ask::Create(create) => creates.push((index, &**create)),
                Ask::Read(read) => reads.push((index, &**read)),
                Ask::Log(logged) => entries.extend(logged.iter().cloned()),
            }
        }
        for (index, answer) in create::run(conn, tenant, keys, &creates, &mut entries)? {
            answers[index] = answer;
        }
        for (index, answer) in read::run(conn, tenant, &reads, now, &mut entries)? {
            answers[index] = answer;
        }
        accesses::append(conn, tenant, &entries)?;
    }
    Ok(answers)
}

#[cfg(test)]
mod tests;
