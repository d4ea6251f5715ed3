//! `strongroom bench`: how fast a service is, in ratios that hold on other machines too.
//!
//! The ledger is measured against two floors: the same transfer by pgbench, as one SQL transaction
//! each, on the same Postgres and in turn with the service. The service, its callers and Postgres
//! are processes of their own, so that each is seen with what it uses. At the end the books are
//! recomputed: a figure counts only if every acknowledged transfer is in them, and no other.

mod accounts;
mod books;
mod case;
mod checks;
mod child;
mod closed;
mod error;
mod figures;
mod fill;
mod floor;
mod load;
mod machine;
mod measured;
mod meter;
mod options;
mod pgbench;
mod place;
mod process;
mod records;
mod report;
mod run;
mod sample;
mod sql;
mod table;
mod verify;

use std::time::Duration;

use shared::boot::on_signal;
use shared::task::blocking;

use self::books::{Books, Needs};
use self::case::Work;
use self::child::{
    LOAD, LOAD_ACCOUNTS, LOAD_RECORDS, SERVE, SERVE_ACCOUNTS, SERVE_RECORDS, SERVE_UNSEALED,
};
use self::measured::Measured;
use self::meter::Meter;
use self::pgbench::Pgbench;
use self::place::Place;
use self::report::{Around, Checked, Report};
use self::run::{Bench, planned};
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
    /// Measure records: creates, audited reads, streams, the cipher and the verification of the log
    ///
    /// Brings up a Postgres of its own, which leaves nothing behind. The variables of the records
    /// service hold for the one that is measured.
    Records(records::Arguments),
    /// Measure accounts: customers and accounts that are created, read, listed and frozen, and the
    /// comparison of all of them with the ledger
    ///
    /// Brings up a Postgres of its own, which leaves nothing behind. The variables of the services
    /// hold for those that are measured.
    Accounts(accounts::Arguments),
    /// The ledger alone, in a process of its own
    #[command(name = SERVE, hide = true)]
    Serve(Box<transactions::Config>),
    /// The callers, in a process of their own
    #[command(name = LOAD, hide = true)]
    Load,
    /// Records alone, in a process of its own
    #[command(name = SERVE_RECORDS, hide = true)]
    ServeRecords(Box<::records::Config>),
    /// What streams without sealing
    #[command(name = SERVE_UNSEALED, hide = true)]
    ServeUnsealed,
    /// The callers of records
    #[command(name = LOAD_RECORDS, hide = true)]
    LoadRecords,
    /// Accounts alone, in a process of its own
    #[command(name = SERVE_ACCOUNTS, hide = true)]
    ServeAccounts(Box<::accounts::Config>),
    /// The callers of accounts
    #[command(name = LOAD_ACCOUNTS, hide = true)]
    LoadAccounts,
}

/// Measures, or is one of the processes of a measurement.
pub(crate) async fn run(options: &Options, arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Ledger(arguments) => ledger(options, arguments).await,
        Command::Serve(config) => Ok(child::serve(*config).await?),
        Command::Load => Ok(blocking(load::main).await??),
        Command::Records(arguments) => records::run(options, arguments).await,
        Command::ServeRecords(config) => Ok(child::serve_records(*config).await?),
        Command::ServeUnsealed => Ok(records::serve_unsealed().await?),
        Command::LoadRecords => Ok(blocking(records::load_main).await??),
        Command::Accounts(arguments) => accounts::run(options, arguments).await,
        Command::ServeAccounts(config) => Ok(child::serve_accounts(*config).await?),
        Command::LoadAccounts => Ok(blocking(accounts::load_main).await??),
    }
}

async fn ledger(options: &Options, arguments: options::Arguments) -> Result<(), Error> {
    arguments.check()?;
    let interrupted = on_signal();
    let progress = Progress::on_stderr();
    let (mut places, schema) = (Vec::new(), transactions::SERVICE.schema);
    for _ in arguments.books() {
        let (own, say) = (options.clone(), progress.clone());
        places.push(blocking(move || Place::bring_up(&own, schema, &|line| say.say(line))).await??);
    }
    progress.say("opening the books");
    let work = async {
        match (arguments.verify, places.first(), arguments.books().first()) {
            (true, Some(place), Some(size)) => {
                Ok(Found::Verified(verify::run(place, *size, &progress).await?))
            }
            _ => measure(&places, &arguments, progress.clone())
                .await
                .map(Box::new)
                .map(Found::Measured),
        }
    };
    let found = tokio::select! {
        found = work => found,
        () = interrupted.cancelled() => Err(BenchError::Interrupted.into()),
    };
    let mut taken_down = Ok(());
    for place in places {
        taken_down = taken_down.and(blocking(move || place.take_down()).await?);
    }
    let found = found?;
    taken_down?;
    let mut out = anstream::stdout().lock();
    let printed = match (&found, arguments.json) {
        (Found::Measured(report), true) => report.json(&mut out),
        (Found::Measured(report), false) => report.print(&mut out),
        (Found::Verified(report), true) => report.json(&mut out),
        (Found::Verified(report), false) => report.print(&mut out),
    };
    printed.map_err(Error::file("standard output".as_ref()))
}

/// What was found out.
enum Found {
    Measured(Box<Report>),
    Verified(verify::Report),
}

/// What is measured in one place.
struct Ground {
    books: Books,
    pgbench: Option<Pgbench>,
    postgres: u32,
}

async fn measure(
    places: &[Place],
    arguments: &options::Arguments,
    progress: Progress,
) -> Result<Report, Error> {
    let cases = arguments.cases();
    let tenants = cases.iter().map(|case| case.tenants).max().filter(|tenants| *tenants > 1);
    let holds = cases.iter().any(|case| case.work == Work::Holds);
    let floors = arguments.has_floors();
    let sizes = arguments.books();
    let mut grounds = Vec::new();
    for (place, size) in places.iter().zip(&sizes) {
        let needs = Needs { size: *size, tenants: tenants.unwrap_or(0), floors, holds };
        let books = Books::open(place, needs).await?;
        let pgbench = floors.then(|| floor::pgbench(place, books.floor, size.accounts));
        let postgres = place.admin()?.server_pid()?;
        grounds.push(Ground { pgbench: pgbench.transpose()?, books, postgres });
    }
    let (mut settings, mut flush) = (Vec::new(), Duration::ZERO);
    if let Some(place) = places.first() {
        (settings, flush) = (place.settings()?, place.flush_time()?);
    }
    drop(progress);
    let meter = Meter::new(planned(arguments));
    let benches: Vec<Bench<'_>> = places
        .iter()
        .zip(&grounds)
        .zip(sizes)
        .map(|((place, ground), size)| Bench {
            place,
            books: &ground.books,
            pgbench: ground.pgbench.as_ref(),
            arguments,
            size,
            meter: &meter,
            postgres: ground.postgres,
        })
        .collect();
    let measured = run::measure(&benches).await?;
    meter.say("checking the books");
    let mut books = Checked::default();
    for (bench, measured) in benches.iter().zip(&measured) {
        check(bench, measured, &mut books).await?;
    }
    Ok(Report::new(arguments, &measured, Around { settings, flush, books }))
}

/// Recomputes the books, and compares what the floor "same rows" has written with the service.
async fn check(
    bench: &Bench<'_>,
    measured: &Measured,
    checked: &mut Checked,
) -> Result<(), BenchError> {
    let (floor, holds) = (bench.books.floor, bench.books.holds.0);
    let books = bench.ask(move |admin| admin.books(floor)).await?;
    let wrong = |what: String| Err(BenchError::Books(what));
    if books.unbalanced > 0 || books.wrong_accounts > 0 {
        let (unbalanced, accounts) = (books.unbalanced, books.wrong_accounts);
        return wrong(format!("{unbalanced} sums and {accounts} accounts are wrong"));
    }
    let all = [
        ("transfers", measured.transfers(), books.transactions),
        ("holds", measured.acknowledged(Work::Holds), books.holds),
    ];
    for (what, acknowledged, found) in all {
        if u64::try_from(found) != Ok(acknowledged) {
            return wrong(format!("{acknowledged} {what} were acknowledged, {found} are there"));
        }
    }
    if bench.pgbench.is_some() {
        let rows = bench.ask(move |admin| admin.rows(floor, holds)).await?;
        let rows: Vec<_> = rows.into_iter().map(|row| row.since(&measured.before)).collect();
        let of_floor = u64::try_from(books.floor).unwrap_or_default();
        let of_service = measured.acknowledged(Work::Transfers);
        checked.differences.extend(checks::differences(&rows, of_service, of_floor));
        checked.rows.extend(rows);
    }
    Ok(())
}
