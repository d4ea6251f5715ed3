//! All services in one process, on a Postgres that is there or is brought up: for development, for
//! demonstrations, and for the tests that need every service at once.
//!
//! [`start`] gives a running [`Suite`]; the binary `strongroom` is a command line around it.

mod bench;
mod caller;
mod cli;
mod client;
mod database;
pub mod demo;
mod doors;
mod error;
mod export;
mod import;
mod keys;
mod options;
mod progress;
mod reconcile;
mod refusal;
mod report;
mod restore;
mod run;
mod services;
mod tenant;
mod token;
pub mod verify;

pub use bench::BenchError;
pub use cli::main;
pub use client::{Api, Clients};
pub use error::Error;
pub use export::ExportError;
pub use import::ImportError;
pub use keys::{ISSUER, Keys};
pub use options::{Addresses, Databases, Issuer, Options, Ports};
pub use progress::Progress;
pub use reconcile::ReconcileError;
pub use run::{Suite, start};
pub use tenant::DEFAULT_TENANT;
