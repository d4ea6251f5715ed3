//! The posting engine: many callers' orders in one database transaction, an answer for each.

mod batch;
mod open;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::clock::Clock;
use shared::db::{DbError, Scope, Session};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::lane::{Lanes, Priority, Worker};
use shared::outcome::Request;
use shared::problem::Problem;
use shared::sequence::Nudge;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;
use uuid::Uuid;

use crate::domain::{AccountId, BatchId, HoldId, Made, Order, TransactionId};
use crate::error::Error;

/// What is asked of the engine: one order, or a batch of them that is done all or nothing.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) tenant: Arc<TenantInfo>,
    pub(crate) ask: Ask,
}

/// What a job asks for.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Orders under a request id.
    Orders {
        request: Request,
        /// The batch, where it is one.
        batch: Option<BatchId>,
        items: Vec<Item>,
    },
    /// That these accounts settle their expired holds.
    Expire(BTreeSet<AccountId>),
}

/// An order of a job.
#[derive(Debug)]
pub(crate) struct Item {
    /// The id that what it makes gets: the one that the caller chose, or a new one.
    pub(crate) id: Uuid,
    pub(crate) order: Order,
}

impl Item {
    pub(crate) fn new(order: Order) -> Self {
        let chosen = match &order {
            Order::Hold(hold) => hold.id.map(HoldId::uuid),
            other => other.draft().and_then(|draft| draft.id).map(TransactionId::uuid),
        };
        Self { id: chosen.unwrap_or_else(Uuid::now_v7), order }
    }

    /// The resource that it makes or changes.
    fn resource(&self) -> String {
        match (&self.order, self.order.hold()) {
            (Order::Hold(_), _) => HoldId::from_uuid(self.id).name(),
            (Order::Release(_) | Order::Extend(_) | Order::Increase(_), Some(hold)) => hold.name(),
            _ => TransactionId::from_uuid(self.id).name(),
        }
    }
}

impl Job {
    fn items(&self) -> &[Item] {
        match &self.ask {
            Ask::Orders { items, .. } => items,
            Ask::Expire(_) => &[],
        }
    }

    fn request(&self) -> Option<&Request> {
        match &self.ask {
            Ask::Orders { request, .. } => Some(request),
            Ask::Expire(_) => None,
        }
    }

    /// The resource that it makes: the batch, or that of its one order.
    fn resource(&self) -> String {
        match &self.ask {
            Ask::Orders { batch: Some(batch), .. } => batch.name(),
            _ => self.items().first().map(Item::resource).unwrap_or_default(),
        }
    }

    /// Every account that it names.
    pub(crate) fn accounts(&self) -> BTreeSet<AccountId> {
        match &self.ask {
            Ask::Orders { items, .. } => {
                items.iter().flat_map(|item| item.order.accounts()).collect()
            }
            Ask::Expire(accounts) => accounts.clone(),
        }
    }
}

/// An operation and a request id.
type Key<'a> = (&'a str, &'a str);

fn key(request: &Request) -> Key<'_> {
    (&request.operation, &request.request_id)
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was done now.
    Done(Vec<Made>),
    /// It was done before, as this resource.
    Replayed(String),
}

/// The answer to one job.
pub(crate) type Answer = Result<Settled, Error>;

/// Has a job done in the lane of its tenant.
pub(crate) async fn submit(
    lanes: &Lanes<Engine>,
    job: Job,
    deadline: Deadline,
    priority: Priority,
) -> Result<Settled, Problem> {
    let lane = lanes.of(job.tenant.id.uuid());
    Ok(lane.submit(job, deadline, priority).await??)
}

/// Does a job inside a transaction that has more to do. Whoever calls this nudges the sequencer
/// once that is committed, as the lanes do.
pub(crate) fn post_within(conn: &mut PgConnection, job: Job, now: Timestamp) -> Answer {
    let answers = batch::post(conn, &[job], now)?;
    answers.into_iter().next().unwrap_or_else(|| Err(Problem::internal().into()))
}

/// Decides a job in a snapshot, and leaves no trace.
pub(crate) fn preview(
    conn: &mut PgConnection,
    job: &Job,
    now: Timestamp,
) -> Result<Vec<Made>, Error> {
    let mut books = open::open_to_read(conn, job, now)?;
    batch::decide(&mut books, job)
}

/// The worker of a lane.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) session: Session,
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
            Ask::Orders { items, .. } => items.iter().map(|item| item.order.weight()).sum(),
            Ask::Expire(accounts) => accounts.len(),
        }
    }

    fn run(&mut self, jobs: Vec<Job>) -> Vec<Answer> {
        let deadline = Deadline::after(self.timeout);
        let answers = self.post(&jobs, deadline);
        let tenants: BTreeSet<TenantId> = jobs.iter().map(|job| job.tenant.id).collect();
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
    fn post(&mut self, jobs: &[Job], deadline: Deadline) -> Vec<Answer> {
        let scope = Scope::of(jobs.iter().map(|job| job.tenant.id), deadline);
        let clock = self.clock.clone();
        let posted =
            self.session.write("post_batch", scope, |conn| batch::post(conn, jobs, clock.now()));
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
fn all(jobs: &[Job], error: &Error) -> Vec<Answer> {
    let problem = error.to_problem();
    jobs.iter().map(|_| Err(problem.clone().into())).collect()
}
