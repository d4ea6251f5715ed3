//! The posting engine: many callers' postings in one database transaction, an answer for each.

mod batch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::db::{DbError, Scope, Session};
use shared::deadline::Deadline;
use shared::lane::Worker;
use shared::outcome::Request;
use shared::tenants::TenantInfo;

use crate::domain::{AccountId, BatchId, NewTransaction, TransactionId};
use crate::error::Error;
use crate::store::transactions::StoredTransaction;

pub(crate) use batch::preview;

/// A posting that is asked for: one transaction, or a batch of them that are posted all or nothing.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(crate) tenant: Arc<TenantInfo>,
    pub(crate) request: Request,
    /// The batch, where it is one.
    pub(crate) batch: Option<BatchId>,
    pub(crate) items: Vec<Item>,
}

/// A transaction of a posting.
#[derive(Debug)]
pub(crate) struct Item {
    /// The id that it gets where it is posted.
    pub(crate) id: TransactionId,
    pub(crate) transaction: NewTransaction,
}

impl Item {
    /// A transaction, with the id that its caller chose or a new one.
    pub(crate) fn new(transaction: NewTransaction) -> Self {
        Self { id: transaction.id.unwrap_or_else(TransactionId::generate), transaction }
    }
}

impl Posting {
    /// The resource that it makes: the batch, or its one transaction.
    fn resource(&self) -> String {
        match (&self.batch, self.items.first()) {
            (Some(batch), _) => batch.name(),
            (None, Some(item)) => item.id.name(),
            (None, None) => String::new(),
        }
    }

    /// Every account that it names.
    pub(crate) fn accounts(&self) -> BTreeSet<AccountId> {
        let entries = self.items.iter().flat_map(|item| &item.transaction.entries);
        entries.map(|entry| entry.account).collect()
    }
}

/// What became of a posting.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was posted now.
    Posted(Vec<StoredTransaction>),
    /// It was posted before, as this resource.
    Replayed(String),
}

/// The answer to one posting.
pub(crate) type Answer = Result<Settled, Error>;

/// The worker of a lane.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) session: Session,
    pub(crate) clock: Clock,
    /// How long a batch may take.
    pub(crate) timeout: Duration,
}

impl Worker for Engine {
    type Job = Posting;
    type Answer = Answer;

    fn weight(job: &Posting) -> usize {
        job.items.iter().map(|item| item.transaction.entries.len()).sum()
    }

    fn run(&mut self, jobs: Vec<Posting>) -> Vec<Answer> {
        let deadline = Deadline::after(self.timeout);
        self.post(&jobs, deadline)
    }
}

impl Engine {
    /// Posts a batch. Where it fails as a whole it is halved, so that what made it fail is left
    /// alone with its failure. All halves share one deadline, or a row that somebody keeps locked
    /// would hold up the lane once for each job that wants it.
    fn post(&mut self, jobs: &[Posting], deadline: Deadline) -> Vec<Answer> {
        let scope = match one_tenant(jobs) {
            Some(tenant) => Scope::tenant(tenant, deadline),
            None => Scope::tenantless(deadline),
        };
        let clock = self.clock.clone();
        let posted = self.session.write("post_batch", scope, |conn| {
            batch::post(conn, jobs, clock.now(), scope.tenant.is_none())
        });
        match posted {
            Ok(answers) => answers,
            Err(error) if jobs.len() == 1 => vec![Err(error)],
            // Halves would fare no better, or must not be tried.
            Err(
                error @ Error::Db(
                    DbError::Unavailable(_) | DbError::Closed | DbError::CommitUnknown,
                ),
            ) => all(jobs, &error),
            Err(error) if deadline.remaining().is_zero() => all(jobs, &error),
            Err(error) => {
                tracing::warn!(%error, jobs = jobs.len(), "a batch failed as a whole");
                let (first, second) = jobs.split_at(jobs.len() / 2);
                let mut answers = self.post(first, deadline);
                answers.extend(self.post(second, deadline));
                answers
            }
        }
    }
}

/// The same answer for all.
fn all(jobs: &[Posting], error: &Error) -> Vec<Answer> {
    let problem = error.to_problem();
    jobs.iter().map(|_| Err(problem.clone().into())).collect()
}

/// The tenant of a batch that has only one.
fn one_tenant(jobs: &[Posting]) -> Option<shared::ids::TenantId> {
    let first = jobs.first()?.tenant.id;
    jobs.iter().all(|job| job.tenant.id == first).then_some(first)
}
