//! `SIGKILL` in the middle of what takes the vault long: a rotation, an erasure, an upload. After
//! the restart it goes on by itself, what was acknowledged opens, and what was given is in the log.
//!
//! `STRONGROOM_TEST_SCALE=10` makes ten times as many rounds.

mod erasure;
mod place;
mod rotation;
mod upload;
