//! `strongroom restore`: begins a new timeline in a schema that was restored to an earlier state.
//! `deploy/restore.md` is about all that goes before and after it.

use std::io::Write as _;

use shared::task;

use crate::database::Database;
use crate::error::Error;
use crate::keys::Keys;
use crate::options::Options;
use crate::progress::Progress;

/// What was restored.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The service whose schema it is
    #[arg(value_parser = ["accounts", "records", "transactions"])]
    service: String,
    /// Yes: cursors of events from before are refused from now on, and checkpoints are signed anew
    #[arg(long)]
    confirm: bool,
}

/// Begins the timeline, with the suite stopped.
pub(crate) async fn run(options: &Options, arguments: &Arguments) -> Result<(), Error> {
    let service = &arguments.service;
    if !arguments.confirm {
        return Err(Error::Usage(format!(
            "this begins a new timeline in the schema {service}: whoever follows its events has \
             to begin anew. Do it once after a restore to an earlier state, with --confirm"
        )));
    }
    let progress = Progress::on_stderr();
    let keys = Keys::open(&options.state)?;
    let mut database = Database::find(options, &keys, &progress).await?;
    let begun = database.restore(service, &progress).await;
    let stopped = match database.cluster.take() {
        Some(cluster) => task::blocking(move || cluster.stop()).await?.map_err(Error::from),
        None => Ok(()),
    };
    progress.clear();
    let timeline = begun?;
    stopped?;
    writeln!(std::io::stdout(), "{service} is in timeline {timeline} from now on")
        .map_err(Error::file("standard output".as_ref()))
}
