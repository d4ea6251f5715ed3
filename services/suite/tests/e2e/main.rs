//! All services together, through their public API, on a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod away;
mod child;
mod command;
mod crash;
mod customers;
mod database;
mod dump;
mod imports;
mod input;
mod ledger;
mod load;
mod markers;
mod mistrust;
mod proofs;
mod reconcile;
mod redaction;
mod restore;
mod stop;
mod stops;
mod story;
mod tenants;
mod trace;
mod trio;
mod vault;
mod vault_proofs;
mod wire;
mod world;
