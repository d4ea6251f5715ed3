//! The service against a reference ledger in memory that was written from the contract alone.
//!
//! Random calls of every kind - postings, transfers, holds with their whole life, reversals, links,
//! limits, controls, forced postings, batches, repeats, questions for outcomes, and a clock that
//! moves - go to the service and to the reference in the same order, and every answer has to be the
//! one that the reference expects: from one caller to the last figure (`sequential`), and from many
//! of two replicas in all that the others do not move (`concurrent`). Every so often all balances,
//! their explanations and all holds are compared. Where many do everything to the same accounts
//! (`chaos`) nobody knows the answers; the rules of the books hold there too, in the database.
//!
//! `STRONGROOM_TEST_SCALE=10` makes the runs ten times as long. `STRONGROOM_TEST_SEED` repeats a
//! run: a failure says its seed.

mod account;
mod accounts;
mod call;
mod capturing;
mod chaos;
mod check;
mod compare;
mod concurrent;
mod decide;
mod describe;
mod explain;
mod generate;
mod hold;
mod holding;
mod limits;
mod money;
mod posting;
mod reference;
mod rng;
mod sequential;
mod service;
mod table;
mod tally;
mod time;
mod world;

use strongroom_proto::transactions::v1 as wire;

/// How much longer than usual the runs are.
pub(crate) fn scale() -> usize {
    std::env::var("STRONGROOM_TEST_SCALE").map_or(1, |scale| scale.parse().unwrap())
}

/// The seed of a run: another one each time, unless one is to be repeated.
fn seed() -> u64 {
    let chosen = std::env::var("STRONGROOM_TEST_SEED").map(|seed| seed.parse().unwrap());
    chosen.unwrap_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0)
}
