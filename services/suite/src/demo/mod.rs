//! `strongroom demo`: a first story through the public API.

mod money;
mod narrator;
mod story;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use prometheus::Registry;
use shared::boot;
use shared::postgres::Durability;
use tokio::net::TcpStream;

pub use narrator::DemoError;
pub use story::{Told, play};

use crate::client::Clients;
use crate::error::Error;
use crate::options::{Addresses, Databases, Options, Ports};
use crate::progress::Progress;
use crate::run;

/// How long a suite that runs may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(500);

/// On which suite the story is played.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The token to call with, where the suite that runs asks for one
    #[arg(long, env = "STRONGROOM_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Plays the story on the suite that listens on the ports of the options; where none does, on one
/// that is brought up for the story and leaves nothing behind.
pub(crate) async fn run(
    options: &Options,
    arguments: Arguments,
    registry: Registry,
) -> Result<(), Error> {
    let at = Addresses::of(options);
    if is_open(at.accounts).await {
        return tell(at, arguments.token.as_deref()).await;
    }
    let progress = Progress::on_stderr();
    progress.say("no suite runs: bringing one up for the story");
    let shutdown = boot::on_signal();
    let folder = temporary(options)?;
    let own = Options {
        state: folder.path().to_owned(),
        ports: Ports::FREE,
        databases: Databases::default(),
        durability: Durability::Throwaway,
        downloads: Some(options.downloads.clone().unwrap_or_else(|| options.state.clone())),
        ..options.clone()
    };
    let suite = tokio::select! {
        started = run::start(&own, registry, &progress) => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    progress.clear();
    let told = tokio::select! {
        told = tell(suite.addresses, arguments.token.as_deref()) => told,
        () = shutdown.cancelled() => Ok(()),
    };
    told.and(suite.stop().await)
}

async fn tell(at: Addresses, token: Option<&str>) -> Result<(), Error> {
    let clients = Clients::new(at, token)?;
    let mut out = anstream::stdout().lock();
    play(&clients, &mut out).await?;
    Ok(())
}

async fn is_open(address: SocketAddr) -> bool {
    // On port 0 nobody listens.
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
    address.port() != 0 && matches!(connecting.await, Ok(Ok(_)))
}

/// A folder that goes when the story ends. The user of a private Postgres has to pass it.
fn temporary(options: &Options) -> Result<tempfile::TempDir, Error> {
    let state = &options.state;
    std::fs::create_dir_all(state).map_err(Error::file(state))?;
    tempfile::Builder::new()
        .prefix("demo-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(state)
        .map_err(Error::file(state))
}
