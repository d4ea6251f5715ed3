//! One measurement of the service, with fresh processes.

use std::time::Duration;

use super::case::{Case, Work};
use super::child::{Callers, Service};
use super::error::BenchError;
use super::load::{Event, Length, Plan, Summary, threads};
use super::process;
use super::run::Bench;
use super::sql::{Admin, Mark};

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

impl Bench<'_> {
    /// One measurement, with fresh processes.
    pub(super) async fn sample(
        &self,
        case: &Case,
        told: &dyn Fn(u64),
    ) -> Result<Sample, BenchError> {
        let mut services = Vec::new();
        for _ in 0..case.replicas {
            services.push(Service::start(&self.place.variables()).await?);
        }
        let before = self.mark().await?;
        let mut callers = Callers::start(&self.plan(case, &services)).await?;
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

    fn plan(&self, case: &Case, services: &[Service]) -> Plan {
        let books = match (case.work, case.tenants) {
            (Work::Holds, _) => &self.books.holds.1,
            (_, 1) => &self.books.one.1,
            _ => &self.books.many,
        };
        let (warm_up, length) = self.arguments.times(case.work);
        Plan {
            addresses: services.iter().map(|service| service.address).collect(),
            connections: case.connections.max(services.len()),
            threads: threads().min(case.callers),
            callers: case.callers,
            work: case.work,
            batch: case.batch,
            books: books.clone(),
            hot: case.hot,
            watched: case.watched,
            rate: case.rate,
            warm_up: warm_up.as_secs_f64(),
            length: match case.bulk {
                0 => Length::Seconds(length.as_secs_f64()),
                transfers => Length::Bulk(transfers),
            },
        }
    }

    /// Where Postgres is now.
    pub(super) async fn mark(&self) -> Result<Mark, BenchError> {
        self.ask(Admin::mark).await
    }

    async fn per_commit(&self, since: Mark) -> Result<Option<f64>, BenchError> {
        let floor = self.books.floor;
        self.ask(move |admin| admin.transfers_per_commit(since, floor)).await
    }
}

fn cpu(pids: &[u32]) -> Option<Duration> {
    pids.iter().map(|pid| process::cpu(*pid)).sum()
}
