//! The measurements: floors and service in turn, round by round, on the same Postgres.

use std::time::Duration;

use shared::task::blocking;

use super::child::{Callers, Service};
use super::error::BenchError;
use super::floor::{CLIENTS, Floor, Pace, Pgbench, Run};
use super::load::{Event, Length, Plan, Summary, threads};
use super::meter::Meter;
use super::options::{Arguments, Case, grouped};
use super::place::{Books, Place};
use super::process;
use super::sql::{Admin, Mark};

/// What a measurement takes beside its own time: starts, connections, drains.
const AROUND: Duration = Duration::from_millis(800);
/// Seconds at most for each number of clients that is tried.
const TRIAL_SECONDS: u64 = 3;
/// The part of the peak at which the open loop calls.
const OPEN_LOOP: f64 = 0.7;
/// Calls of an open loop that are under way at once, at most; others are late.
const OPEN_CALLERS: usize = 1_024;
/// How the books are filled: callers, and transfers in each of their calls.
const FILL_CALLERS: usize = 32;
const FILL_BATCH: usize = 100;
/// What filling the books is expected to achieve a second, for the bar.
const FILL_RATE: u64 = 30_000;

/// What one process, or several, used in a measurement; none where the system does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Processor time.
    pub(super) cpu: Option<Duration>,
    /// Bytes at its end.
    pub(super) memory: Option<u64>,
    /// The most bytes that were resident since the start.
    pub(super) peak: Option<u64>,
}

/// One measurement of the service.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// What the callers saw.
    pub(super) summary: Summary,
    /// Bytes of write-ahead log, from the first call to the last.
    pub(super) wal: i64,
    /// Bytes that tables and indexes grew by, from the first call to the last.
    pub(super) growth: i64,
    /// Transfers in one commit, on average.
    pub(super) per_commit: Option<f64>,
    /// The service, all replicas together.
    pub(super) service: Used,
    /// The callers.
    pub(super) callers: Used,
    /// Postgres with all its processes.
    pub(super) postgres: Used,
}

/// The rounds of one floor.
#[derive(Debug, Clone)]
pub(super) struct FloorRounds {
    pub(super) floor: Floor,
    pub(super) hot: bool,
    /// The number of clients that is fastest.
    pub(super) clients: u32,
    /// With that many clients.
    pub(super) rounds: Vec<Pace>,
    /// With one client; empty for the hot variants.
    pub(super) alone: Vec<Pace>,
}

/// The rounds of one load on the service.
#[derive(Debug, Clone)]
pub(super) struct CaseRounds {
    pub(super) case: Case,
    pub(super) rounds: Vec<Sample>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) floors: Vec<FloorRounds>,
    pub(super) cases: Vec<CaseRounds>,
    /// Transfers that the service has acknowledged, those that filled the books among them.
    pub(super) acknowledged: u64,
    /// Checkpoints that Postgres began meanwhile.
    pub(super) checkpoints: i64,
}

/// What measures.
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    pub(super) books: &'a Books,
    pub(super) pgbench: &'a Pgbench,
    pub(super) arguments: &'a Arguments,
    pub(super) meter: &'a Meter,
    pub(super) postgres: u32,
}

/// How long everything takes.
pub(super) fn planned(arguments: &Arguments) -> Duration {
    let cases = arguments.cases();
    let one = arguments.length() + arguments.warm_up + AROUND;
    let service = cases.len() + usize::from(arguments.all);
    let floors = if arguments.no_floors { 0 } else { floors(&cases).len() };
    let trials = if arguments.clients.is_some() { 0 } else { floors * CLIENTS.len() };
    // Those that are not hot are measured with one client too.
    let runs = floors + floors.min(2);
    let round = times(one, service) + times(arguments.length(), runs);
    times(round, arguments.rounds)
        + times(Duration::from_secs(trial_seconds(arguments)), trials)
        + Duration::from_secs(arguments.fill / FILL_RATE)
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

impl Bench<'_> {
    /// Measures all that the arguments ask for.
    pub(super) async fn measure(&self) -> Result<Measured, BenchError> {
        let first = self.mark().await?;
        let mut measured = Measured::default();
        measured.acknowledged += self.fill().await?;
        if !self.arguments.no_floors {
            for (floor, hot) in floors(&self.arguments.cases()) {
                let clients = self.best(floor, hot).await?;
                let (rounds, alone) = (Vec::new(), Vec::new());
                measured.floors.push(FloorRounds { floor, hot, clients, rounds, alone });
            }
        }
        let cases = self.arguments.cases().into_iter();
        measured.cases = cases.map(|case| CaseRounds { case, rounds: Vec::new() }).collect();
        for round in 1..=self.arguments.rounds {
            self.floors(&mut measured.floors, round).await?;
            for case in &mut measured.cases {
                case.rounds.push(self.round(&case.case, round).await?);
            }
        }
        if self.arguments.all {
            let open = self.open_loop(&measured.cases).await?;
            measured.cases.push(open);
        }
        let samples = measured.cases.iter().flat_map(|case| &case.rounds);
        measured.acknowledged += samples.map(|sample| sample.summary.acknowledged).sum::<u64>();
        measured.checkpoints = self.mark().await?.checkpoints - first.checkpoints;
        Ok(measured)
    }

    async fn fill(&self) -> Result<u64, BenchError> {
        let transfers = self.arguments.fill;
        if transfers == 0 {
            return Ok(0);
        }
        let all = grouped(transfers);
        self.meter.say(&format!("filling the books with {all} transfers"));
        let told = |done| self.meter.update(&format!("{} of {all} transfers", grouped(done)));
        let filling = Case { batch: FILL_BATCH, ..Case::unary(FILL_CALLERS) };
        let filled = self.service(&filling, Length::Transfers(transfers), &told);
        let planned = Duration::from_secs(transfers / FILL_RATE);
        Ok(self.meter.step(planned, filled).await?.summary.acknowledged)
    }

    /// The number of clients with which a floor is fastest.
    async fn best(&self, floor: Floor, hot: bool) -> Result<u32, BenchError> {
        if let Some(clients) = self.arguments.clients {
            return Ok(clients);
        }
        let seconds = trial_seconds(self.arguments);
        let (mut best, mut most) = (1, 0.0);
        for clients in CLIENTS {
            let run = Run { floor, hot, clients, seconds };
            let pace = self.floor(run, "looking for the best number of clients").await?;
            if pace.per_second > most {
                (best, most) = (clients, pace.per_second);
            }
        }
        Ok(best)
    }

    async fn floors(&self, floors: &mut [FloorRounds], round: usize) -> Result<(), BenchError> {
        let step = format!("round {round} of {}", self.arguments.rounds);
        let seconds = self.arguments.length().as_secs().max(1);
        for floor in floors {
            let (clients, hot) = (floor.clients, floor.hot);
            let run = Run { floor: floor.floor, hot, clients, seconds };
            floor.rounds.push(self.floor(run, &step).await?);
            if !hot {
                floor.alone.push(self.floor(Run { clients: 1, ..run }, &step).await?);
            }
        }
        Ok(())
    }

    async fn floor(&self, run: Run, step: &str) -> Result<Pace, BenchError> {
        let hot = if run.hot { ", hot" } else { "" };
        let floor = run.floor.name();
        let clients = if run.clients == 1 { "client" } else { "clients" };
        self.meter.say(&format!("{step}: pgbench, {floor}{hot}, {} {clients}", run.clients));
        self.meter.step(Duration::from_secs(run.seconds), self.pgbench.run(run)).await
    }

    async fn round(&self, case: &Case, round: usize) -> Result<Sample, BenchError> {
        let line = format!("round {round} of {}: {}", self.arguments.rounds, case.title());
        self.meter.say(&line);
        let told = |done| self.meter.update(&format!("{line}, {} transfers", grouped(done)));
        let length = self.arguments.length();
        let measured = self.service(case, Length::Seconds(length.as_secs_f64()), &told);
        self.meter.step(length + self.arguments.warm_up + AROUND, measured).await
    }

    /// Calls at a part of the best rate so far, in rounds of its own.
    async fn open_loop(&self, cases: &[CaseRounds]) -> Result<CaseRounds, BenchError> {
        let peak = cases.iter().filter(|case| case.case.reference().is_none()).map(|case| {
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

    /// One measurement, with fresh processes.
    async fn service(
        &self,
        case: &Case,
        length: Length,
        told: &dyn Fn(u64),
    ) -> Result<Sample, BenchError> {
        let mut services = Vec::new();
        for _ in 0..case.replicas {
            services.push(Service::start(&self.place.variables()).await?);
        }
        let before = self.mark().await?;
        let mut callers = Callers::start(&self.plan(case, length, &services)).await?;
        let pids: Vec<u32> = services.iter().map(|service| service.pid).collect();
        let (own, postgres) = ([callers.pid], [self.postgres]);
        while !matches!(callers.next().await?, Event::Begin) {}
        let since = [cpu(&pids), cpu(&own), cpu(&postgres)];
        loop {
            match callers.next().await? {
                Event::Progress(done) => told(done),
                Event::End => break,
                Event::Begin | Event::Done(_) => {}
            }
        }
        let until = [cpu(&pids), cpu(&own), cpu(&postgres)];
        let used = |index: usize, pids: &[u32]| Used {
            cpu: until[index].zip(since[index]).map(|(until, since)| until.saturating_sub(since)),
            memory: pids.iter().map(|pid| process::memory(*pid)).sum(),
            peak: pids.iter().map(|pid| process::peak(*pid)).sum(),
        };
        let used = [used(0, &pids), used(1, &own), used(2, &postgres)];
        let summary = callers.done().await?;
        let after = self.mark().await?;
        let per_commit = self.per_commit(before).await?;
        for service in services {
            service.stop().await?;
        }
        let [service, callers, postgres] = used;
        let (wal, growth) = (after.wal - before.wal, after.size - before.size);
        Ok(Sample { summary, wal, growth, per_commit, service, callers, postgres })
    }

    fn plan(&self, case: &Case, length: Length, services: &[Service]) -> Plan {
        Plan {
            addresses: services.iter().map(|service| service.address).collect(),
            connections: case.connections.max(services.len()),
            threads: threads().min(case.callers),
            callers: case.callers,
            batch: case.batch,
            books: if case.tenants > 1 { &self.books.many } else { &self.books.one }.clone(),
            hot: case.hot,
            rate: case.rate,
            warm_up: self.arguments.warm_up.as_secs_f64(),
            length,
        }
    }

    async fn mark(&self) -> Result<Mark, BenchError> {
        self.ask(Admin::mark).await
    }

    async fn per_commit(&self, since: Mark) -> Result<Option<f64>, BenchError> {
        let floor = self.books.floor;
        self.ask(move |admin| admin.transfers_per_commit(since, floor)).await
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

fn cpu(pids: &[u32]) -> Option<Duration> {
    pids.iter().map(|pid| process::cpu(*pid)).sum()
}
