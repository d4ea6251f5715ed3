//! Crashes in the middle of the work, again and again: `SIGKILL` for the process of the services,
//! and for Postgres below it. What was acknowledged is there once, what was not is settled by its
//! request id, and the books are right.
//!
//! `STRONGROOM_TEST_SCALE=10` makes ten times as many rounds.

mod load;
mod place;
mod proof;
mod request;

use rustix::process::Signal;
use suite::Clients;
use tokio::task::block_in_place;

use self::load::load;
pub(crate) use self::place::Place;
use self::proof::Proof;
use self::request::Api;
use crate::child::Child;
use crate::world::{folder, run};

const SERVICE_ROUNDS: usize = 20;
const POSTGRES_ROUNDS: usize = 4;

/// How many times as many rounds.
pub(crate) fn scale() -> usize {
    std::env::var("STRONGROOM_TEST_SCALE").map_or(1, |scale| scale.parse().unwrap())
}

/// What is acknowledged in a round before the crash: never the same, so that it comes at every
/// moment of the work.
fn before(round: usize) -> usize {
    60 + round * 37 % 90
}

#[test]
fn a_service_that_is_killed_loses_nothing_that_was_acknowledged() {
    run(async {
        let folder = folder();
        let place = block_in_place(|| Place::start(folder.path()));
        let state = folder.path().join("state");
        let mut child = block_in_place(|| Child::start_on(&state, place.url()));
        let mut proof = Proof::of(&Clients::new(child.at, None).unwrap()).await;
        for round in 0..SERVICE_ROUNDS * scale() {
            let api = Api::of(&child);
            let kill = || child.signal(Signal::KILL);
            let asked = load(&api, &proof.accounts, before(round), kill).await;
            assert!(!block_in_place(|| child.ended()).success());
            child = block_in_place(|| Child::start_on(&state, place.url()));
            proof.settle(&Api::of(&child), &place, asked).await;
        }
        child.signal(Signal::TERM);
        assert!(block_in_place(|| child.ended()).success());
    });
}

#[test]
fn a_postgres_that_is_killed_loses_nothing_that_was_acknowledged() {
    run(async {
        let folder = folder();
        let mut place = block_in_place(|| Place::start(folder.path()));
        let state = folder.path().join("state");
        let child = block_in_place(|| Child::start_on(&state, place.url()));
        let mut proof = Proof::of(&Clients::new(child.at, None).unwrap()).await;
        let api = Api::of(&child);
        for round in 0..POSTGRES_ROUNDS * scale() {
            let asked = load(&api, &proof.accounts, before(round), || place.kill()).await;
            for one in &asked {
                one.assert_told_to_repeat();
            }
            block_in_place(|| place.restart());
            proof.settle(&api, &place, asked).await;
        }
        child.signal(Signal::TERM);
        assert!(block_in_place(|| child.ended()).success());
    });
}
