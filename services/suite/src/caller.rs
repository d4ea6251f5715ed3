//! Who calls, and which ledger: what commands have in common that call one.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus::Registry;
use shared::boot;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::Clients;
use crate::error::Error;
use crate::options::{Addresses, Options};
use crate::progress::Progress;
use crate::run;

/// How long a suite that runs may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(500);

/// Who calls, and which ledger.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Caller {
    /// The token to call with, where the ledger asks for one
    #[arg(long, env = "STRONGROOM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The tenant, where the token holds in several
    #[arg(long, env = "STRONGROOM_TENANT", value_name = "UUID")]
    pub(crate) tenant: Option<Uuid>,
    /// The address of the transactions service, where it is not that of the suite on this machine
    #[arg(long, env = "STRONGROOM_LEDGER", value_name = "ADDRESS")]
    pub(crate) ledger: Option<SocketAddr>,
}

/// Services that are not those of the suite on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elsewhere {
    pub(crate) accounts: Option<SocketAddr>,
    pub(crate) records: Option<SocketAddr>,
}

impl Elsewhere {
    /// Records at an address, where one is named.
    pub(crate) fn records(records: Option<SocketAddr>) -> Self {
        Self { records, ..Self::default() }
    }
}

impl Caller {
    /// Does some work with the ledger that is named; else with the suite that listens on the ports
    /// of the options; else with the suite of `own`, which runs as long as the work takes.
    pub(crate) async fn call(
        &self,
        options: &Options,
        own: &Options,
        registry: Registry,
        progress: &Progress,
        work: impl AsyncFnOnce(Clients, Addresses) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.call_at(Elsewhere::default(), options, own, registry, progress, work).await
    }

    /// The same, with other services at the addresses that are named.
    pub(crate) async fn call_at(
        &self,
        elsewhere: Elsewhere,
        options: &Options,
        own: &Options,
        registry: Registry,
        progress: &Progress,
        work: impl AsyncFnOnce(Clients, Addresses) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let shutdown = boot::on_signal();
        let mut at = Addresses::of(options);
        at.transactions = self.ledger.unwrap_or(at.transactions);
        at.accounts = elsewhere.accounts.unwrap_or(at.accounts);
        at.records = elsewhere.records.unwrap_or(at.records);
        let named = [self.ledger, elsewhere.accounts, elsewhere.records];
        if named.iter().any(Option::is_some) || is_open(at.transactions).await {
            return tokio::select! {
                done = work(self.clients(at)?, at) => done,
                () = shutdown.cancelled() => Err(Error::Interrupted),
            };
        }
        progress.say("no suite runs: bringing one up");
        self.on_own(own, registry, progress, shutdown, work).await
    }

    /// Does some work with a suite that runs as long as the work takes.
    pub(crate) async fn on_own(
        &self,
        own: &Options,
        registry: Registry,
        progress: &Progress,
        shutdown: CancellationToken,
        work: impl AsyncFnOnce(Clients, Addresses) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let suite = tokio::select! {
            started = Box::pin(run::start(own, registry, progress)) => started?,
            () = shutdown.cancelled() => return Err(Error::Interrupted),
        };
        let at = suite.addresses;
        let done = tokio::select! {
            done = work(self.clients(at)?, at) => done,
            () = shutdown.cancelled() => Err(Error::Interrupted),
        };
        done.and(suite.stop().await)
    }

    fn clients(&self, at: Addresses) -> Result<Clients, Error> {
        Clients::in_tenant(at, self.token.as_deref(), self.tenant)
    }
}

async fn is_open(address: SocketAddr) -> bool {
    // On port 0 nobody listens.
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
    address.port() != 0 && matches!(connecting.await, Ok(Ok(_)))
}
