//! `bench accounts`: how fast customers and accounts are created, read, listed and frozen, against
//! the same rows by pgbench where there are such, and whether the ledger agrees with all of it.

mod fill;
mod floor;
mod load;
mod report;
mod trio;

use std::time::{Duration, Instant};

use shared::boot::on_signal;
use shared::config::{at_least_one, seconds};
use shared::task::blocking;
use uuid::Uuid;

use super::child::{LOAD_ACCOUNTS, SERVE, SERVE_ACCOUNTS, SERVE_RECORDS};
use super::closed::{Loaded, Rounds};
use super::error::BenchError;
use super::machine::Machine;
use super::pgbench::Pgbench;
use super::place::Place;
use super::process;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;
use crate::reconcile::compare;
use crate::tenant::DEFAULT_TENANT;

pub(super) use load::main as load_main;

use fill::Filled;
use floor::Floor;
use load::{Kind, Load};
use report::{Call, Report};
use trio::Trio;

/// What is measured, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Callers at once
    #[arg(long, default_value = "64", value_parser = at_least_one)]
    callers: usize,
    /// Customers that are there before the first measurement, with two accounts each
    #[arg(long, default_value = "10000", value_parser = at_least_one)]
    customers: usize,
    /// Seconds of each measurement
    #[arg(long, default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// How often each is measured, in turn; the median counts
    #[arg(long, default_value = "3", value_parser = at_least_one)]
    rounds: usize,
    /// Clients of pgbench
    #[arg(long, default_value = "8", value_parser = at_least_one)]
    clients: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures in a Postgres of its own, which leaves nothing behind.
pub(super) async fn run(options: &Options, arguments: Arguments) -> Result<(), Error> {
    let interrupted = on_signal();
    let progress = Progress::on_stderr();
    let (own, say, schema) = (options.clone(), progress.clone(), ::accounts::SERVICE.schema);
    let bring_up = move || Place::bring_up(&own, schema, &|line| say.say(line));
    let place = blocking(bring_up).await??;
    let measured = tokio::select! {
        measured = measure(&place, &arguments, &progress) => measured,
        () = interrupted.cancelled() => Err(BenchError::Interrupted.into()),
    };
    let taken_down = blocking(move || place.take_down()).await?;
    let report = measured?;
    taken_down?;
    progress.clear();
    let mut out = anstream::stdout().lock();
    let printed = if arguments.json { report.json(&mut out) } else { report.print(&mut out) };
    printed.map_err(Error::file("standard output".as_ref()))
}

async fn measure(
    place: &Place,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<Report, Error> {
    let tenant = DEFAULT_TENANT.uuid();
    let trio = Trio::start(place, tenant).await?;
    let token = place.token(tenant)?;
    let filled = fill::fill(trio.at.accounts, &token, arguments, progress).await?;
    let compared = check(&trio, &token, progress).await?;
    let pgbench = floor::pgbench(place, arguments)?;
    let bench = Bench { arguments, pgbench, trio, token, filled, progress };

    let mut floors = Floor::ALL.map(|_| Rounds::default());
    let mut calls = Kind::ALL.map(|_| Vec::new());
    for round in 1..=arguments.rounds {
        for (rounds, floor) in floors.iter_mut().zip(Floor::ALL) {
            rounds.0.push(bench.floor(floor, round).await?);
        }
        for (rounds, kind) in calls.iter_mut().zip(Kind::ALL) {
            rounds.push(bench.load(kind, round).await?);
        }
    }
    let memory = process::peak(bench.trio.accounts.pid);
    check(&bench.trio, &bench.token, progress).await?;
    let Bench { trio, filled, .. } = bench;
    trio.stop().await?;
    let floors = floors.map(|rounds| rounds.median());
    let calls = Kind::ALL.iter().zip(&calls).map(|(kind, rounds)| {
        let floor = Floor::ALL.iter().position(|floor| Some(*floor) == kind.floor());
        Call::new(*kind, rounds, floor.map(|index| floors[index]))
    });
    Ok(Report {
        machine: Machine::this(),
        settings: place.settings()?.into_iter().collect(),
        callers: arguments.callers,
        customers: filled.customers.len(),
        customers_seconds: filled.customers_took.as_secs_f64(),
        accounts: filled.accounts.len(),
        accounts_seconds: filled.accounts_took.as_secs_f64(),
        compared_seconds: compared.as_secs_f64(),
        floors_per_second: floors,
        calls: calls.collect(),
        memory_bytes: memory,
    })
}

/// Compares accounts with the ledger, as `strongroom reconcile` does: figures count only where the
/// two agree. Gives how long it took.
async fn check(trio: &Trio, token: &str, progress: &Progress) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut first = None;
    let tell = |line: &str| {
        first.get_or_insert_with(|| line.to_owned());
        Ok(())
    };
    let compared = compare(&trio.clients(token)?, trio.at, progress, tell).await?;
    match first {
        None => Ok(began.elapsed()),
        Some(first) => {
            let count = compared.disagreements;
            Err(BenchError::Books(format!("{count} disagreements, such as {first}")).into())
        }
    }
}

/// What measures.
struct Bench<'a> {
    arguments: &'a Arguments,
    pgbench: Pgbench,
    trio: Trio,
    token: String,
    filled: Filled,
    progress: &'a Progress,
}

impl Bench<'_> {
    /// Scripts a second of a floor.
    async fn floor(&self, floor: Floor, round: usize) -> Result<f64, BenchError> {
        let Arguments { clients, seconds, rounds, .. } = self.arguments;
        let clients = u32::try_from(*clients).unwrap_or(u32::MAX);
        self.progress.say(&format!("round {round} of {rounds}: pgbench, {}", floor.script()));
        let run = self.pgbench.run(floor.script(), clients, seconds.as_secs().max(1), &[]);
        Ok(run.await?.per_second)
    }

    /// Calls of the service.
    async fn load(&self, kind: Kind, round: usize) -> Result<Loaded, BenchError> {
        let Arguments { callers, seconds, rounds, .. } = self.arguments;
        self.progress.say(&format!("round {round} of {rounds}: {}", kind.name()));
        let load = Load {
            kind,
            address: self.trio.at.accounts,
            token: self.token.clone(),
            callers: *callers,
            warm_up: 1.0,
            seconds: seconds.as_secs_f64(),
            customers: self.filled.customers.clone(),
            accounts: self.filled.accounts.clone(),
        };
        load.in_a_process_of_its_own().await
    }
}

/// An id that nothing else has.
fn unique() -> String {
    Uuid::now_v7().to_string()
}
