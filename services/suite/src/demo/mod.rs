//! `strongroom demo`: stories through the public API.

mod card;
mod court_order;
mod money;
mod month_end;
mod narrator;
mod privacy;
mod story;
mod teller;

use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use prometheus::Registry;
use shared::postgres::Durability;
use shared::{boot, config};

pub use narrator::DemoError;
pub use story::{Told, play};

use crate::caller::Caller;
use crate::client::Clients;
use crate::error::Error;
use crate::keys::Keys;
use crate::options::{Databases, Issuer, Options, Ports};
use crate::progress::Progress;
use crate::token;
use crate::verify::Trust;

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
    /// A month is booked, closed, stated and proven; always on a suite of its own
    MonthEnd,
    /// A card is topped up, pays, is refunded and charged back; always on a suite of its own
    Card,
    /// Two authorities freeze an account that others try to empty; always on a suite of its own
    CourtOrder,
    /// A KYC file is sealed, read, held by a court and erased, with proofs; always on a suite of
    /// its own
    Privacy,
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
    let told = match arguments.story {
        Story::First => {
            let tell = async |clients: Clients, _| {
                progress.clear();
                play(&clients, &mut anstream::stdout().lock()).await.map(drop)?;
                Ok(())
            };
            caller.call(options, &own, registry, &progress, tell).await
        }
        story => Box::pin(apart(story, own, registry, &progress)).await,
    };
    match told {
        // Who has heard enough is not told of an error.
        Err(Error::Interrupted) => Ok(()),
        told => told,
    }
}

/// A story on a suite of its own: to close a month of books that are in use would be no story, and
/// two principals need the keys of the issuer.
async fn apart(
    story: Story,
    own: Options,
    registry: Registry,
    progress: &Progress,
) -> Result<(), Error> {
    let audience = own.issuer.token_audience.clone();
    let issuer = Issuer { token_audience: audience, ..Issuer::default() };
    let server = config::Server { listen: Ipv4Addr::LOCALHOST.into(), ..own.server.clone() };
    let own = Options { issuer, server, ..own };
    let tell = async |clients, at| {
        let key = own.state.join("keys/log.vkey");
        let key = std::fs::read_to_string(&key).map_err(Error::file(&key))?;
        let trust = Trust::new(&key, None);
        progress.clear();
        let mut out = anstream::stdout().lock();
        match story {
            Story::Privacy => {
                let keys = Keys::open(&own.state)?;
                let tokens = privacy::OFFICERS.map(|officer| officers_token(&keys, &own, officer));
                let [anna, ben] = tokens;
                privacy::play(&[anna?, ben?], at, &trust, &mut out).await
            }
            Story::Card => card::play(clients, at, &mut out).await,
            Story::CourtOrder => court_order::play(clients, &mut out).await,
            Story::First | Story::MonthEnd => month_end::play(clients, at, &trust, &mut out).await,
        }
    };
    progress.say("bringing up a suite for the story");
    let nobody = Caller { token: None, tenant: None, ledger: None };
    nobody.on_own(&own, registry, progress, boot::on_signal(), tell).await
}

/// A token for everything, of a principal of this name.
fn officers_token(keys: &Keys, own: &Options, name: &str) -> Result<String, Error> {
    let everything = token::Arguments::everything(&own.issuer.token_audience);
    token::sign(keys, everything.of(name))
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
