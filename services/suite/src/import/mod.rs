//! `strongroom import`: accounts, opening balances and history of another ledger.

mod check;
mod csv;
mod error;
mod fault;
mod help;
mod known;
mod ledger;
mod meter;
mod ndjson;
mod register;
mod request;
mod resume;
mod row;
mod rules;
mod send;
mod source;
mod work;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use prometheus::Registry;

pub use error::ImportError;
pub(crate) use help::FILES;

use crate::caller::Caller;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;

/// What is imported.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The accounts and their opening balances
    #[arg(long, value_name = "FILE", required_unless_present = "transactions")]
    accounts: Option<PathBuf>,
    /// The history
    #[arg(long, value_name = "FILE")]
    transactions: Option<PathBuf>,
    /// The name of the other ledger, such as "core-2019". It is on every transaction, and with the
    /// ids of the rows it makes sure that nothing is imported twice
    #[arg(long, value_parser = source_name)]
    source: String,
    /// The time zone in which days begin: that of the tenant
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
    /// Let others go first: takes a small part of every commit of a ledger that is in use
    #[arg(long)]
    bulk: bool,
    /// Check everything, and write nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    caller: Caller,
}

/// Imports into the ledger that is named, or into the suite of the state folder, which is brought
/// up for it where it does not run.
pub(crate) async fn run(
    options: &Options,
    arguments: Arguments,
    registry: Registry,
) -> Result<(), Error> {
    let progress = Progress::on_stderr();
    let work = async |clients, at| work::import(clients, at, &arguments, &progress).await;
    let done = arguments.caller.call(options, options, registry, &progress, work).await;
    progress.clear();
    done
}

fn source_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 letters, digits and \"._:-\"".to_owned()),
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "must be a time zone such as \"Europe/Zurich\"".to_owned())
}
