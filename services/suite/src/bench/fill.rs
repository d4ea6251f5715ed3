//! Books that have been in use: transfers that are there before the first measurement, written by
//! sets of many, because one call for each would take longer than everything that is measured.

use std::num::NonZeroUsize;
use std::thread;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::task::blocking;
use shared::time::Timestamp;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use super::error::BenchError;

/// The functions that fill.
const FUNCTIONS: &str = include_str!("fill.sql");
/// Transfers of one commit at most.
const CHUNK: u64 = 250_000;
/// Sessions that fill at once, at most, each with accounts of its own.
const SESSIONS: u64 = 2;
/// Microseconds from one transfer to the next.
const STEP: u64 = 10;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// The account that has the most entries, by its number.
pub(super) const HOT: u64 = 1;

/// What the books are filled with.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Filled {
    /// How many transfers.
    pub(super) transfers: u64,
    /// When they began.
    start: Timestamp,
}

/// What some of the transfers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Every tenth a label, of which there are a thousand.
    Label,
    /// Every twentieth a group, of which each has a thousand.
    Group,
    /// Every tenth an id of its own from somebody else.
    ExternalId,
}

impl Mark {
    /// What it is called where it is asked for.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Label => "merchant",
            Self::Group => "group_id",
            Self::ExternalId => "PSP",
        }
    }

    /// What a transfer near that number has. fill.sql has the same rules.
    pub(super) fn value(self, number: u64) -> String {
        match self {
            Self::Label => format!("m-{}", (number / 10).max(1) % 1_000),
            Self::Group => format!("run-{}", number / 20 * 20 / 20_000),
            Self::ExternalId => format!("psp-{}", number.saturating_sub(1) / 10 * 10 + 1),
        }
    }
}

impl Filled {
    /// So many transfers from now on. All are on one day, which the last must not leave.
    pub(super) fn now(transfers: u64) -> Self {
        let now = Clock::system().now().micros();
        let length = i64::try_from(transfers.saturating_mul(STEP)).unwrap_or(DAY) + 1;
        let midnight = now - now.rem_euclid(DAY) + DAY;
        Self { transfers, start: Timestamp::from_micros(now.min(midnight - length)) }
    }

    /// When a transfer was posted, by its number from 1.
    pub(super) fn time(&self, number: u64) -> Timestamp {
        let since = i64::try_from(number.saturating_mul(STEP)).unwrap_or(DAY);
        Timestamp::from_micros(self.start.micros() + since)
    }
}

/// How the log of filled books comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// The sequencer makes the leaves, so that the books can be verified.
    Described,
    /// They are made up, which is quicker.
    MadeUp,
}

/// Fills the books of a tenant with so many accounts, as the owner of the schema. Tells how many
/// transfers are there.
pub(super) async fn fill(
    url: &str,
    tenant: Uuid,
    accounts: u64,
    filled: Filled,
    leaves: Leaves,
    told: &dyn Fn(u64),
) -> Result<(), BenchError> {
    // Each session needs two accounts.
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let parts = SESSIONS.min(accounts / 2).min(processors).max(1);
    let chunk = filled.transfers.div_ceil(parts).clamp(1, CHUNK);
    let (done, mut progress) = unbounded_channel();
    let mut sessions = JoinSet::new();
    for part in 0..parts {
        let session = Session { tenant, part, parts, accounts, filled, leaves, chunk };
        let (url, done) = (url.to_owned(), done.clone());
        sessions.spawn(blocking(move || session.fill(&url, &done)));
    }
    drop(done);
    let mut transfers = 0;
    while let Some(more) = progress.recv().await {
        transfers += more;
        told(transfers);
    }
    let panicked = |panic: JoinError| BenchError::Service(panic.to_string());
    while let Some(ended) = sessions.join_next().await {
        ended.map_err(panicked)?.map_err(panicked)??;
    }
    Ok(())
}

/// One of the connections that fill.
struct Session {
    tenant: Uuid,
    part: u64,
    parts: u64,
    accounts: u64,
    filled: Filled,
    leaves: Leaves,
    chunk: u64,
}

impl Session {
    /// Fills its part, chunk by chunk in the order of time.
    fn fill(&self, url: &str, done: &UnboundedSender<u64>) -> Result<(), BenchError> {
        let mut conn = PgConnection::establish(url)?;
        conn.batch_execute(FUNCTIONS)?;
        let mut before = self.part * self.chunk;
        while before < self.filled.transfers {
            let last = (before + self.chunk).min(self.filled.transfers);
            sql_query("SELECT pg_temp.fill($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind::<SqlUuid, _>(self.tenant)
                .bind::<BigInt, _>(number(self.part))
                .bind::<BigInt, _>(number(self.parts))
                .bind::<BigInt, _>(number(self.accounts))
                .bind::<BigInt, _>(number(before + 1))
                .bind::<BigInt, _>(number(last))
                .bind::<Timestamptz, _>(self.filled.start)
                .bind::<Bool, _>(self.leaves == Leaves::MadeUp)
                .execute(&mut conn)?;
            if done.send(last - before).is_err() {
                // Nobody waits for it any more.
                return Err(BenchError::Interrupted);
            }
            before += self.chunk * self.parts;
        }
        Ok(())
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_there() {
        let values =
            |number| [Mark::Label, Mark::Group, Mark::ExternalId].map(|mark| mark.value(number));
        assert_eq!(values(1), ["m-1", "run-0", "psp-1"]);
        assert_eq!(values(10), ["m-1", "run-0", "psp-1"]);
        assert_eq!(values(11), ["m-1", "run-0", "psp-11"]);
        assert_eq!(values(19_999), ["m-999", "run-0", "psp-19991"]);
        assert_eq!(values(20_000), ["m-0", "run-1", "psp-19991"]);
    }

    #[test]
    fn all_of_it_is_on_one_day() {
        let filled = Filled::now(10_000_000);
        let day = |number| filled.time(number).micros().div_euclid(DAY);
        assert_eq!(day(1), day(10_000_000));
        assert_eq!(filled.time(3).micros() - filled.time(2).micros(), 10);
    }
}
