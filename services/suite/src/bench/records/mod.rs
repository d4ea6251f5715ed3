//! `bench records`: how fast documents are sealed, read with an audit, and streamed, against the
//! same without any of that on the same machine in the same run.

mod cipher;
mod floor;
mod load;
mod log;
mod report;
mod streams;
mod unsealed;

use std::time::Duration;

use shared::boot::on_signal;
use shared::config::{at_least_one, seconds};
use shared::task::blocking;
use uuid::Uuid;

use super::books::create_tenant;
use super::child::{LOAD_RECORDS, SERVE_RECORDS, SERVE_UNSEALED, Service};
use super::closed::{Loaded, Rounds};
use super::error::BenchError;
use super::machine::Machine;
use super::pgbench::Pgbench;
use super::place::Place;
use super::process;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;
use crate::tenant::DEFAULT_TENANT;

pub(super) use load::main as load_main;
pub(super) use unsealed::serve as serve_unsealed;

use floor::Floor;
use load::{Kind, Load};
use report::{Line, Report};

/// What is measured, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Callers at once, of creates and reads
    #[arg(long, default_value = "64", value_parser = at_least_one)]
    callers: usize,
    /// Bytes of each document
    #[arg(long, default_value = "4096", value_parser = at_least_one)]
    size: usize,
    /// Documents that are there to be read
    #[arg(long, default_value = "5000", value_parser = at_least_one)]
    documents: usize,
    /// Seconds of each measurement
    #[arg(long, default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// How often each is measured, in turn; the median counts
    #[arg(long, default_value = "3", value_parser = at_least_one)]
    rounds: usize,
    /// Clients of pgbench
    #[arg(long, default_value = "8", value_parser = at_least_one)]
    clients: usize,
    /// MiB of the body that is streamed
    #[arg(long, default_value = "256", value_parser = at_least_one)]
    stream: usize,
    /// Leaves of the log that is verified offline
    #[arg(long, default_value = "1000000", value_parser = at_least_one)]
    leaves: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures in a Postgres of its own, which leaves nothing behind.
pub(super) async fn run(options: &Options, arguments: Arguments) -> Result<(), Error> {
    let interrupted = on_signal();
    let progress = Progress::on_stderr();
    let (own, say, schema) = (options.clone(), progress.clone(), ::records::SERVICE.schema);
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
    floor::prepare(place, arguments)?;
    let pgbench = floor::pgbench(place, arguments)?;
    progress.say("sealing and opening in memory");
    let cipher = blocking(cipher::measure).await??;
    let variables = place.records_variables()?;
    let service = Service::start_as(SERVE_RECORDS, &variables).await?;
    create_tenant(&service, place, tenant).await?;
    let token = place.token(tenant)?;
    let bench = Bench { arguments, pgbench, service, token, progress };
    progress.say("sealing the documents that are read");
    let documents = load::prepare(bench.service.address, &bench.token, arguments).await?;

    let (mut insert, mut select) = (Rounds::default(), Rounds::default());
    let (mut creates, mut reads) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        insert.0.push(bench.floor(Floor::Insert, round).await?);
        creates.push(bench.load(Kind::Create, &documents, round).await?);
        select.0.push(bench.floor(Floor::Select, round).await?);
        reads.push(bench.load(Kind::Read, &documents, round).await?);
    }
    let memory_of_calls = process::peak(bench.service.pid);
    bench.service.stop().await?;
    let streams = streams::measure(place, &bench.token, arguments, progress).await?;
    progress.say("verifying the log offline");
    let leaves = arguments.leaves;
    let folder = place.folder().to_owned();
    let verified = blocking(move || log::measure(&folder, leaves)).await??;
    let settings = place.settings()?;
    Ok(Report {
        machine: Machine::this(),
        settings: settings.into_iter().collect(),
        callers: arguments.callers,
        size_bytes: arguments.size,
        insert_per_second: insert.median(),
        select_per_second: select.median(),
        create: Line::new(&creates, insert.median()),
        read: Line::new(&reads, select.median()),
        memory_of_calls,
        streams,
        cipher,
        verified,
    })
}

/// What measures.
struct Bench<'a> {
    arguments: &'a Arguments,
    pgbench: Pgbench,
    service: Service,
    token: String,
    progress: &'a Progress,
}

impl Bench<'_> {
    /// Statements a second of a floor.
    async fn floor(&self, floor: Floor, round: usize) -> Result<f64, BenchError> {
        let Arguments { clients, seconds, rounds, .. } = self.arguments;
        let (name, clients) = (floor.script().0, u32::try_from(*clients).unwrap_or(u32::MAX));
        self.progress.say(&format!("round {round} of {rounds}: pgbench, {name}"));
        let run = self.pgbench.run(name, clients, seconds.as_secs().max(1), &[]);
        Ok(run.await?.per_second)
    }

    /// Calls of the service.
    async fn load(
        &self,
        kind: Kind,
        documents: &load::Documents,
        round: usize,
    ) -> Result<Loaded, BenchError> {
        let Arguments { callers, seconds, rounds, size, .. } = self.arguments;
        self.progress.say(&format!("round {round} of {rounds}: {kind:?}, {callers} callers"));
        let load = Load {
            kind,
            address: self.service.address,
            token: self.token.clone(),
            callers: *callers,
            size: *size,
            warm_up: 1.0,
            seconds: seconds.as_secs_f64(),
            documents: documents.clone(),
        };
        load.in_a_process_of_its_own().await
    }
}

/// An id that nothing else has, for request ids.
fn unique() -> String {
    Uuid::now_v7().to_string()
}
