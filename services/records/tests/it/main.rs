//! The records service from outside: a real Postgres schema, the generated clients over loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod access;
mod access_log;
mod break_glass;
mod callers;
mod consents;
mod consents_rpc;
mod downloads;
mod epochs;
mod erasure;
mod erasures;
mod events;
mod export;
mod holds;
mod index_rotations;
mod input;
mod interests;
mod isolation;
mod key_caller;
mod keys;
mod lane;
mod lifecycle;
mod lookups;
mod policies;
mod reading;
mod realm;
mod record_lists;
mod record_plans;
mod record_types;
mod requests;
mod reseals;
mod rotations;
mod schema;
mod story;
mod streams;
mod tamper;
mod tombstones;
mod updates;
mod uploads;
mod world;
