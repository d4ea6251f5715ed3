//! `strongroom reconcile`: every account of a tenant as the accounts service has it, against the
//! ledger, through nothing but their public APIs.

mod view;
mod walk;

use std::io::Write as _;
use std::net::SocketAddr;

use prometheus::Registry;

use crate::caller::{Caller, Elsewhere};
use crate::client::Clients;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;

pub(crate) use walk::compare;

/// Why accounts and the ledger are not known to agree.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// They do not.
    #[error("{0} disagreements")]
    Disagreements(u64),
    /// They could not be compared.
    #[error("accounts and the ledger could not be compared: {0}")]
    Failed(String),
}

/// Which services.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The address of the accounts service, where it is not that of the suite on this machine
    #[arg(long, env = "STRONGROOM_ACCOUNTS", value_name = "ADDRESS")]
    accounts: Option<SocketAddr>,
    #[command(flatten)]
    caller: Caller,
}

/// Compares, and prints each disagreement and the sums.
pub(crate) async fn run(
    options: &Options,
    arguments: Arguments,
    registry: Registry,
) -> Result<(), Error> {
    let progress = Progress::on_stderr();
    let work = async |clients: Clients, at| {
        let print = |line: &str| writeln!(anstream::stdout().lock(), "{line}");
        let compared = compare(&clients, at, &progress, print).await?;
        progress.clear();
        print(&compared.table()).map_err(Error::file("standard output".as_ref()))?;
        match compared.disagreements {
            0 => Ok(()),
            count => Err(ReconcileError::Disagreements(count).into()),
        }
    };
    let elsewhere = Elsewhere { accounts: arguments.accounts, ..Elsewhere::default() };
    let caller = &arguments.caller;
    let done = caller.call_at(elsewhere, options, options, registry, &progress, work).await;
    progress.clear();
    done.map_err(|error| match error {
        Error::Reconcile(error) => error.into(),
        error => ReconcileError::Failed(error.to_string()).into(),
    })
}
