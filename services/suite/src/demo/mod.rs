//! `strongroom demo`: stories through the public API.

mod money;
mod narrator;
mod story;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use prometheus::Registry;
use shared::postgres::Durability;

pub use narrator::DemoError;
pub use story::{Told, play};

use crate::caller::Caller;
use crate::error::Error;
use crate::options::{Databases, Options, Ports};
use crate::progress::Progress;

/// Which story, and on which suite it is played.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The story
    #[arg(value_enum, default_value_t = Story::First)]
    story: Story,
    /// The token to call with, where the suite that runs asks for one
    #[arg(long, env = "STRONGROOM_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// The stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Story {
    /// Customers, accounts, money that moves or does not, a sealed document
    First,
}

/// Plays the story on the suite that listens on the ports of the options; where none does, on one
/// that is brought up for the story and leaves nothing behind.
pub(crate) async fn run(
    options: &Options,
    arguments: Arguments,
    registry: Registry,
) -> Result<(), Error> {
    let progress = Progress::on_stderr();
    let folder = temporary(options)?;
    let own = Options {
        state: folder.path().to_owned(),
        ports: Ports::FREE,
        databases: Databases::default(),
        durability: Durability::Throwaway,
        downloads: Some(options.downloads.clone().unwrap_or_else(|| options.state.clone())),
        ..options.clone()
    };
    let caller = Caller { token: arguments.token, tenant: None, ledger: None };
    let tell = async |clients, _| {
        progress.clear();
        let mut out = anstream::stdout().lock();
        match arguments.story {
            Story::First => play(&clients, &mut out).await.map(drop)?,
        }
        Ok(())
    };
    match caller.call(options, &own, registry, &progress, tell).await {
        // Who has heard enough is not told of an error.
        Err(Error::Interrupted) => Ok(()),
        told => told,
    }
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
