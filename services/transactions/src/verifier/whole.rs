//! A verification that somebody waits for: all of it in one snapshot, on a thread and a connection
//! of its own. Whoever waits asks now and then what is new; it never waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::PgConnection;
use shared::db::{Scope, Session};
use shared::deadline::Deadline;
use shared::problem::{Problem, Reason};
use tokio_util::sync::CancellationToken;

use super::{Books, Counts, Place, Slice, account, step, work};
use crate::domain::{AccountId, Finding};
use crate::error::Error;

/// Rows of a slice: each statement takes a small part of a second.
const SLICE: i64 = 20_000;
/// No verification takes longer. Each of its statements has the timeout that every other has.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Findings that wait to be told, at most; the others are only counted.
const UNTOLD_MAX: usize = 10_000;

/// What is to be verified.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Only these; everything where there is none.
    pub(crate) accounts: Vec<AccountId>,
    /// The log too.
    pub(crate) log: bool,
}

/// What is new, and how far it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    pub(crate) findings: Vec<Finding>,
    pub(crate) counts: Counts,
    /// How many there were, told or not.
    pub(crate) found: i64,
    /// How much of the whole is done, 0 to 100.
    pub(crate) percent: i32,
    /// How it ended, once everything is told.
    pub(crate) end: Option<Result<(), Problem>>,
}

#[derive(Debug, Default)]
struct State {
    news: News,
    rows: i64,
    work: i64,
}

/// A verification, from both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verification {
    state: Arc<Mutex<State>>,
    /// Cancelled when it has ended.
    ended: CancellationToken,
    /// Cancelled when nobody waits for it any more.
    stop: CancellationToken,
}

impl Verification {
    /// One that ends with `stop`.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { stop, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies, and makes room for the next one. Blocks.
    pub(crate) fn run(&self, session: Session, books: &Books, asked: &Asked, room: impl Sized) {
        // Whatever happens in between, nobody waits in vain; and who hears of the end finds room.
        let _ended = self.ended.clone().drop_guard();
        let (mut session, _room) = (session, room);
        let scope = Scope::tenant(books.tenant, Deadline::after(LONGEST));
        let read = |conn: &mut PgConnection| {
            // It may be the second time, on a new connection.
            *self.state() = State::default();
            self.verify(conn, books, asked)
        };
        let ended = session.read("verify_books", scope, read);
        self.state().news.end = Some(ended.map_err(Problem::from));
    }

    fn verify(&self, conn: &mut PgConnection, books: &Books, asked: &Asked) -> Result<(), Error> {
        if !asked.accounts.is_empty() {
            for id in &asked.accounts {
                account(conn, books.tenant, *id, SLICE, |slice| self.tell(slice))?;
            }
            return Ok(());
        }
        self.state().work = work(conn, books.tenant, asked.log)?;
        let mut place = Some(Place::START);
        while let Some(at) = place {
            let (slice, next) = step(conn, books, at, SLICE, asked.log)?;
            self.tell(slice)?;
            place = next;
        }
        Ok(())
    }

    /// Tells of a slice; fails once nobody wants to know.
    fn tell(&self, slice: Slice) -> Result<(), Error> {
        let mut state = self.state();
        state.rows = state.rows.saturating_add(slice.rows);
        let (rows, work) = (state.rows, state.work.max(1));
        let news = &mut state.news;
        news.counts.add(slice.counts);
        news.found += i64::try_from(slice.findings.len()).unwrap_or(i64::MAX);
        let room = UNTOLD_MAX.saturating_sub(news.findings.len());
        news.findings.extend(slice.findings.into_iter().take(room));
        let percent = i128::from(rows) * 100 / i128::from(work);
        news.percent = i32::try_from(percent).unwrap_or(99).min(99);
        drop(state);
        if self.stop.is_cancelled() {
            let message = "Nobody waits for the verification any more.";
            return Err(Problem::new(Reason::Deadline, message).into());
        }
        Ok(())
    }

    /// What is new, with at most so many findings: at the latest after a while, and at once where
    /// there are more to tell.
    pub(crate) async fn news(&self, after: Duration, findings_max: usize) -> News {
        let waits = self.state().news.findings.len() > findings_max;
        if !waits {
            let _ = tokio::time::timeout(after, self.ended.cancelled()).await;
        }
        let mut state = self.state();
        let news = &mut state.news;
        let count = news.findings.len().min(findings_max);
        let findings = news.findings.drain(..count).collect();
        let end = match &news.end {
            _ if !news.findings.is_empty() => None,
            None if self.ended.is_cancelled() => Some(Err(Problem::internal())),
            end => end.clone(),
        };
        News { findings, end, counts: news.counts, found: news.found, percent: news.percent }
    }
}
