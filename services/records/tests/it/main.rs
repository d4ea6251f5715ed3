//! The records service from outside: a real Postgres schema, the generated clients over loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod access;
mod erasure;
mod input;
mod isolation;
mod keys;
mod requests;
mod schema;
mod story;
mod tamper;
mod world;
