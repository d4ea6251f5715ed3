//! `strongroom bench`: how fast a service is, in ratios that hold on other machines too.
//!
//! The ledger is measured against two floors: the same transfer by pgbench, as one SQL transaction
//! each, on the same Postgres and in turn with the service. The service, its callers and Postgres
//! are processes of their own, so that each is seen with what it uses. At the end the books are
//! recomputed: a figure counts only if every acknowledged transfer is in them, and no other.

mod child;
mod error;
mod figures;
mod floor;
mod load;
mod meter;
mod options;
mod place;
mod process;
mod report;
mod run;
mod sql;
mod table;

use shared::boot::on_signal;
use shared::task::blocking;

use self::child::{LOAD, SERVE};
use self::floor::Pgbench;
use self::meter::Meter;
use self::place::{Books, Place};
use self::report::{Around, Checked, Report};
use self::run::{Bench, Measured, planned};
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;

pub use error::BenchError;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Measure the ledger: throughput, latency, memory and disk, against pgbench
    ///
    /// Brings up a Postgres of its own, which leaves nothing behind. The variables of the
    /// transactions service, such as STRONGROOM_POOL_SIZE, hold for the one that is measured.
    Ledger(options::Arguments),
    /// The ledger alone, in a process of its own
    #[command(name = SERVE, hide = true)]
    Serve(Box<transactions::Config>),
    /// The callers, in a process of their own
    #[command(name = LOAD, hide = true)]
    Load,
}

/// Measures, or is one of the processes of a measurement.
pub(crate) async fn run(options: &Options, arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Ledger(arguments) => ledger(options, arguments).await,
        Command::Serve(config) => Ok(child::serve(*config).await?),
        Command::Load => Ok(blocking(load::main).await??),
    }
}

async fn ledger(options: &Options, arguments: options::Arguments) -> Result<(), Error> {
    arguments.check()?;
    let interrupted = on_signal();
    let progress = Progress::on_stderr();
    let (own, say) = (options.clone(), progress.clone());
    let place = blocking(move || Place::bring_up(&own, &|line| say.say(line))).await??;
    progress.say("opening the books");
    let measured = tokio::select! {
        measured = measure(&place, &arguments, progress) => measured,
        () = interrupted.cancelled() => Err(BenchError::Interrupted.into()),
    };
    let taken_down = blocking(move || place.take_down()).await?;
    let report = measured?;
    taken_down?;
    let mut out = anstream::stdout().lock();
    let printed = if arguments.json { report.json(&mut out) } else { report.print(&mut out) };
    printed.map_err(Error::file("standard output".as_ref()))
}

async fn measure(
    place: &Place,
    arguments: &options::Arguments,
    progress: Progress,
) -> Result<Report, Error> {
    let accounts = arguments.accounts;
    let tenants = arguments.cases().iter().map(|case| case.tenants).max().unwrap_or(1);
    let tenants = if tenants > 1 { tenants } else { 0 };
    let books = Books::open(place, accounts, tenants).await?;
    let pgbench = Pgbench::find(place, books.floor, accounts)?;
    let (settings, flush) = (place.settings()?, place.flush_time()?);
    let postgres = place.admin()?.server_pid()?;
    drop(progress);
    let meter = Meter::new(planned(arguments));
    let bench =
        Bench { place, books: &books, pgbench: &pgbench, arguments, meter: &meter, postgres };
    let measured = bench.measure().await?;
    meter.say("checking the books");
    let books = check(&bench, &measured).await?;
    Ok(Report::new(arguments, &measured, Around { settings, flush, books }))
}

/// Recomputes the books, and compares what the floor "same rows" has written with the service.
async fn check(bench: &Bench<'_>, measured: &Measured) -> Result<Checked, BenchError> {
    let floor = bench.books.floor;
    let (books, rows) =
        bench.ask(move |admin| Ok((admin.books(floor)?, admin.rows(floor)?))).await?;
    let wrong = |what: String| Err(BenchError::Books(what));
    if books.unbalanced > 0 || books.wrong_accounts > 0 {
        let (unbalanced, accounts) = (books.unbalanced, books.wrong_accounts);
        return wrong(format!("{unbalanced} sums and {accounts} accounts are wrong"));
    }
    let (found, acknowledged) = (books.transactions, measured.acknowledged);
    if u64::try_from(found) != Ok(acknowledged) {
        return wrong(format!("{acknowledged} transfers were acknowledged, {found} are there"));
    }
    let of_floor = u64::try_from(books.floor).unwrap_or_default();
    let differences = figures::differences(&rows, acknowledged, of_floor);
    Ok(Checked { rows, differences })
}
