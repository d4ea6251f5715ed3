//! The measurements: floors and service in turn, round by round, on the same Postgres; and books of
//! several sizes in turn, each on a Postgres of its own.

use std::time::{Duration, Instant};

use shared::task::blocking;
use uuid::Uuid;

use super::books::Books;
use super::case::{Case, Work, grouped};
use super::child::Service;
use super::error::BenchError;
use super::fill::{self, Leaves};
use super::floor::{Floor, Run};
use super::measured::{CaseRounds, FloorRounds, Measured};
use super::meter::Meter;
use super::options::{Arguments, Size};
use super::pgbench::{CLIENTS, Pace, Pgbench};
use super::place::Place;
use super::sample::Sample;
use super::sql::Admin;
use super::verify::await_log;

/// What a measurement takes beside its own time: starts, connections, drains.
const AROUND: Duration = Duration::from_millis(800);
/// Seconds at most for each number of clients that is tried.
const TRIAL_SECONDS: u64 = 3;
/// The part of the peak at which the open loop calls.
const OPEN_LOOP: f64 = 0.7;
/// Calls of an open loop that are under way at once, at most; others are late.
const OPEN_CALLERS: usize = 1_024;
/// What filling the books is expected to achieve a second, and bulk transfers, for the bar.
const FILL_RATE: u64 = 15_000;
const BULK_RATE: u64 = 10_000;

/// What measures.
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    pub(super) books: &'a Books,
    /// Where there are floors.
    pub(super) pgbench: Option<&'a Pgbench>,
    pub(super) arguments: &'a Arguments,
    pub(super) size: Size,
    pub(super) meter: &'a Meter,
    pub(super) postgres: u32,
}

/// How long everything takes.
pub(super) fn planned(arguments: &Arguments) -> Duration {
    let cases = arguments.cases();
    let open_loop = planned_case(arguments, &Case::unary(OPEN_CALLERS));
    let open_loop = if arguments.all { open_loop } else { Duration::ZERO };
    let service: Duration = cases.iter().map(|case| planned_case(arguments, case)).sum();
    let floors = if arguments.has_floors() { floors(&cases).len() } else { 0 };
    let trials = if arguments.clients.is_some() { 0 } else { floors * CLIENTS.len() };
    // Those that are not hot are measured with one client too.
    let runs = floors + floors.min(2);
    let books = arguments.books();
    let round = times(service, books.len()) + open_loop + times(arguments.length(), runs);
    let fill: u64 = books.iter().map(|size| size.fill).sum();
    times(round, arguments.rounds)
        + times(Duration::from_secs(trial_seconds(arguments)), trials)
        + Duration::from_secs(fill / FILL_RATE)
}

/// How long one measurement of the service takes.
fn planned_case(arguments: &Arguments, case: &Case) -> Duration {
    let (warm_up, length) = arguments.times(case.work);
    let length = match case.bulk {
        0 => length,
        transfers => Duration::from_secs(transfers / BULK_RATE),
    };
    warm_up + length + AROUND
}

fn times(duration: Duration, times: usize) -> Duration {
    duration.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

fn trial_seconds(arguments: &Arguments) -> u64 {
    arguments.length().as_secs().clamp(1, TRIAL_SECONDS)
}

/// The floors that these loads are compared with.
fn floors(cases: &[Case]) -> Vec<(Floor, bool)> {
    let mut floors = vec![(Floor::Bare, false), (Floor::SameRows, false)];
    if cases.iter().any(|case| case.hot) {
        floors.extend([(Floor::Bare, true), (Floor::SameRows, true)]);
    }
    floors
}

/// Measures all that the arguments ask for, side by side where there are books of several sizes.
pub(super) async fn measure(benches: &[Bench<'_>]) -> Result<Vec<Measured>, BenchError> {
    let mut all = Vec::new();
    for bench in benches {
        all.push(bench.prepare().await?);
    }
    let Some(arguments) = benches.first().map(|bench| bench.arguments) else { return Ok(all) };
    for round in 1..=arguments.rounds {
        for (bench, measured) in benches.iter().zip(&mut all) {
            bench.floors(&mut measured.floors, round).await?;
        }
        for index in 0..arguments.cases().len() {
            for (bench, measured) in benches.iter().zip(&mut all) {
                let case = &mut measured.cases[index];
                case.rounds.push(bench.round(&case.case, round).await?);
            }
        }
    }
    for (bench, measured) in benches.iter().zip(&mut all) {
        if arguments.all {
            measured.cases.push(bench.open_loop(&measured.cases).await?);
        }
        measured.checkpoints += bench.mark().await?.checkpoints;
    }
    Ok(all)
}

impl Bench<'_> {
    /// Fills the books, and finds out how the floors are fastest.
    async fn prepare(&self) -> Result<Measured, BenchError> {
        let mut measured = Measured::new(self.size);
        let cases = self.arguments.cases();
        measured.filling = self.fill().await?;
        if let Some(pgbench) = self.pgbench {
            let (floor, holds) = (self.books.floor, self.books.holds.0);
            measured.before = self.ask(move |admin| admin.rows(floor, holds)).await?;
            for (floor, hot) in floors(&cases) {
                let clients = self.best(pgbench, floor, hot).await?;
                let (rounds, alone) = (Vec::new(), Vec::new());
                measured.floors.push(FloorRounds { floor, hot, clients, rounds, alone });
            }
        }
        let rounds = |case| CaseRounds { case, rounds: Vec::new() };
        measured.cases = cases.into_iter().map(rounds).collect();
        measured.checkpoints -= self.mark().await?.checkpoints;
        Ok(measured)
    }

    /// Fills the books, and tells how long that took.
    async fn fill(&self) -> Result<Duration, BenchError> {
        let (transfers, accounts) = (self.size.fill, self.size.accounts);
        if transfers == 0 {
            return Ok(Duration::ZERO);
        }
        let began = Instant::now();
        let all = grouped(transfers);
        self.meter.say(&format!("filling the books with {all} transfers"));
        let told = |done| self.meter.update(&format!("{} of {all} transfers", grouped(done)));
        let (tenant, books) = &self.books.one;
        let filled = books.first().map(|book| book.filled).unwrap_or_default();
        let leaves = Leaves::MadeUp;
        let filling = fill::fill(self.place.owner_url(), *tenant, accounts, filled, leaves, &told);
        let planned = Duration::from_secs(transfers / FILL_RATE);
        self.meter.step(planned, filling).await?;
        self.meter.say("waiting for the log");
        self.sequence(*tenant).await?;
        self.meter.say("tidying up");
        self.ask(Admin::settle).await?;
        Ok(began.elapsed())
    }

    /// Has a replica put what was filled into the log: in books that have been in use the sequencer
    /// has nothing left to do from before.
    async fn sequence(&self, tenant: Uuid) -> Result<(), BenchError> {
        let mut variables = self.place.variables();
        variables.push(("STRONGROOM_SEQUENCE_INTERVAL", "0".to_owned()));
        let service = Service::start(&variables).await?;
        await_log(self.place, tenant, &|line| self.meter.update(line)).await?;
        service.stop().await
    }

    /// The number of clients with which a floor is fastest.
    async fn best(&self, pgbench: &Pgbench, floor: Floor, hot: bool) -> Result<u32, BenchError> {
        if let Some(clients) = self.arguments.clients {
            return Ok(clients);
        }
        let seconds = trial_seconds(self.arguments);
        let (mut best, mut most) = (1, 0.0);
        for clients in CLIENTS {
            let run = Run { floor, hot, clients, seconds };
            let pace = self.floor(pgbench, run, "looking for the best number of clients").await?;
            if pace.per_second > most {
                (best, most) = (clients, pace.per_second);
            }
        }
        Ok(best)
    }

    async fn floors(&self, floors: &mut [FloorRounds], round: usize) -> Result<(), BenchError> {
        let Some(pgbench) = self.pgbench else { return Ok(()) };
        let step = format!("round {round} of {}", self.arguments.rounds);
        let seconds = self.arguments.length().as_secs().max(1);
        for floor in floors {
            let (clients, hot) = (floor.clients, floor.hot);
            let run = Run { floor: floor.floor, hot, clients, seconds };
            floor.rounds.push(self.floor(pgbench, run, &step).await?);
            if !hot {
                let alone = Run { clients: 1, ..run };
                floor.alone.push(self.floor(pgbench, alone, &step).await?);
            }
        }
        Ok(())
    }

    async fn floor(&self, pgbench: &Pgbench, run: Run, step: &str) -> Result<Pace, BenchError> {
        let hot = if run.hot { ", hot" } else { "" };
        let floor = run.floor.name();
        let clients = if run.clients == 1 { "client" } else { "clients" };
        self.meter.say(&format!("{step}: pgbench, {floor}{hot}, {} {clients}", run.clients));
        self.meter.step(Duration::from_secs(run.seconds), run.on(pgbench)).await
    }

    async fn round(&self, case: &Case, round: usize) -> Result<Sample, BenchError> {
        let books = match self.arguments.sizes {
            true => format!(" in {} accounts", grouped(self.size.accounts)),
            false => String::new(),
        };
        let line = format!("round {round} of {}: {}{books}", self.arguments.rounds, case.title());
        self.meter.say(&line);
        let told = |done| self.meter.update(&format!("{line}, {} done", grouped(done)));
        let planned = planned_case(self.arguments, case);
        self.meter.step(planned, self.sample(case, &told)).await
    }

    /// Calls at a part of the best rate of such calls so far, in rounds of its own.
    async fn open_loop(&self, cases: &[CaseRounds]) -> Result<CaseRounds, BenchError> {
        let is_plain = |case: &Case| {
            case.work == Work::Transfers && case.batch == 1 && case.reference().is_none()
        };
        let peak = cases.iter().filter(|case| is_plain(&case.case)).map(|case| {
            let rates = case.rounds.iter().map(|sample| sample.summary.per_second());
            super::figures::median(rates).unwrap_or_default()
        });
        let rate = (peak.fold(0.0, f64::max) * OPEN_LOOP).max(1.0).round();
        let case = Case { rate: Some(rate), ..Case::unary(OPEN_CALLERS) };
        let mut rounds = Vec::new();
        for round in 1..=self.arguments.rounds {
            rounds.push(self.round(&case, round).await?);
        }
        Ok(CaseRounds { case, rounds })
    }

    /// Asks Postgres, on a connection of its own.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Admin) -> Result<T, BenchError> + Send + 'static,
    ) -> Result<T, BenchError> {
        let url = self.place.admin_url();
        let asked = blocking(move || question(&mut Admin::connect(&url)?));
        asked.await.map_err(|panic| BenchError::Service(panic.to_string()))?
    }
}
