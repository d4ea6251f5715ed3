//! The records service from outside: a real Postgres schema, the generated clients over loopback.

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
