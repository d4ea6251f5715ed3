//! The shared rooms from outside, each trap of the stack with its test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod auth;
mod client;
mod db;
mod list_outcomes;
mod migrate;
mod outcome;
mod server;
mod setup;
