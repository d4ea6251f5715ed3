//! The configuration of this service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::boot::BootError;
use shared::clock::Clock;
use shared::config::{Common, seconds};
use shared::grpc::client::{self, Peer};
use shared::token::WorkloadSigner;
use tokio_util::sync::CancellationToken;

use crate::{SERVICE, reconciler, sweeper};

/// The configuration of this service.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
    /// The limits of calls to peers.
    #[command(flatten)]
    pub peers: client::Config,
    /// The records service as host:port
    #[arg(
        long,
        env = "STRONGROOM_RECORDS_ADDRESS",
        default_value = "127.0.0.1:7002",
        help_heading = "Peers"
    )]
    pub records: String,
    /// The transactions service as host:port
    #[arg(
        long,
        env = "STRONGROOM_TRANSACTIONS_ADDRESS",
        default_value = "127.0.0.1:7003",
        help_heading = "Peers"
    )]
    pub transactions: String,
    /// How eagerly the ledger is told again.
    #[command(flatten)]
    pub reconciler: reconciler::Config,
    /// How eagerly what follows without a call is looked for.
    #[command(flatten)]
    pub sweeper: sweeper::Config,
    /// Years for which what is about a customer is needed after the customer is closed
    #[arg(
        long,
        env = "STRONGROOM_RETENTION_YEARS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(0..=100),
        help_heading = "Customers"
    )]
    pub retention_years: u16,
    /// Seconds after its closing in which an account may be reopened
    #[arg(
        long,
        env = "STRONGROOM_REOPEN_WINDOW",
        default_value = "2592000",
        value_parser = seconds,
        help_heading = "Accounts"
    )]
    pub reopen_window: Duration,
}

impl AsRef<Common> for Config {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// The services that this one calls.
pub(crate) struct Peers {
    pub(crate) records: Peer,
    pub(crate) transactions: Peer,
}

impl Config {
    /// The peers, looked up until `stop`.
    pub(crate) fn peers(
        &self,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> Result<Peers, BootError> {
        let auth = &self.common.auth;
        let signer = |path: &Path| {
            let clock = clock.clone();
            WorkloadSigner::load(SERVICE.schema.name, path, &auth.token_audience, clock)
                .map(Arc::new)
        };
        let signer = auth.workload_key.as_deref().map(signer).transpose()?;
        let peer = |name, address: &str| {
            Peer::new(name, address, &self.peers, signer.clone(), stop.clone())
        };
        Ok(Peers {
            records: peer("records", &self.records),
            transactions: peer("transactions", &self.transactions),
        })
    }
}
