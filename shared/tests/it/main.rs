//! The shared rooms from outside, each trap of the stack with its test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod auth;
mod client;
mod db;
mod events;
mod list_outcomes;
mod log;
mod migrate;
mod outcome;
mod sequence;
mod server;
mod setup;
mod world;
