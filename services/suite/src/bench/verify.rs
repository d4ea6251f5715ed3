//! How fast the books are verified: filled books, put into their log, and all of it recomputed by
//! the service, without the log and with it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::task::blocking;
use strongroom_proto::transactions::v1 as wire;
use tonic::Request;
use uuid::Uuid;
use wire::books_service_client::BooksServiceClient;

use super::books::{Books, Needs};
use super::case::grouped;
use super::child::Service;
use super::error::BenchError;
use super::fill::{self, Leaves};
use super::machine::Machine;
use super::options::Size;
use super::place::Place;
use super::report::whole;
use super::sql::Admin;
use crate::client::{Bearer, channel};
use crate::progress::Progress;

/// Between two looks at how far the log is, and how long it may stand still.
const LOOK: Duration = Duration::from_millis(500);
const STANDSTILL: Duration = Duration::from_secs(60);

/// What was found out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    books: Size,
    fill_seconds: f64,
    /// How long it took until everything was in the log.
    log_seconds: f64,
    without_log: Pace,
    with_log: Pace,
}

/// One verification.
#[derive(Debug, Serialize)]
struct Pace {
    accounts: i64,
    entries: i64,
    transactions: i64,
    leaves: i64,
    seconds: f64,
    entries_per_second: f64,
}

/// Fills books and has them verified.
pub(super) async fn run(
    place: &Place,
    size: Size,
    progress: &Progress,
) -> Result<Report, BenchError> {
    let needs = Needs { size, tenants: 0, floors: false, holds: false };
    let books = Books::open(place, needs).await?;
    let (tenant, books) = &books.one;
    let filled = books.first().map(|book| book.filled).unwrap_or_default();
    let all = grouped(size.fill);
    progress.say(&format!("filling the books with {all} transfers"));
    let began = Instant::now();
    let leaves = Leaves::Described;
    fill::fill(place.owner_url(), *tenant, size.accounts, filled, leaves, &|_| ()).await?;
    ask(place, Admin::settle).await?;
    let fill_seconds = began.elapsed().as_secs_f64();
    let mut variables = place.variables();
    variables.push(("STRONGROOM_AUDIT_INTERVAL", "0".to_owned()));
    let service = Service::start(&variables).await?;
    progress.say("waiting for the log");
    let began = Instant::now();
    await_log(place, *tenant, &|line| progress.say(line)).await?;
    let log_seconds = began.elapsed().as_secs_f64();
    progress.say("verifying without the log");
    let without_log = verify(place, &service, *tenant, false).await?;
    progress.say("verifying with the log");
    let with_log = verify(place, &service, *tenant, true).await?;
    service.stop().await?;
    let machine = Machine::this();
    Ok(Report { machine, books: size, fill_seconds, log_seconds, without_log, with_log })
}

async fn ask<T: Send + 'static>(
    place: &Place,
    work: impl FnOnce(&mut Admin) -> Result<T, BenchError> + Send + 'static,
) -> Result<T, BenchError> {
    let url = place.admin_url();
    let asked = blocking(move || work(&mut Admin::connect(&url)?)).await;
    asked.map_err(|panic| BenchError::Service(panic.to_string()))?
}

/// Waits until every change has its place in the log.
pub(super) async fn await_log(
    place: &Place,
    tenant: Uuid,
    told: &dyn Fn(&str),
) -> Result<(), BenchError> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let (size, rest) = ask(place, move |admin| admin.log(tenant)).await?;
        if rest == 0 {
            return Ok(());
        }
        if size > last {
            (last, since) = (size, Instant::now());
            let leaves = grouped(u64::try_from(size).unwrap_or_default());
            told(&format!("{leaves} leaves in the log"));
        } else if since.elapsed() > STANDSTILL {
            return Err(BenchError::Service("the log does not grow".to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Has the service verify everything; there is nothing to be found.
async fn verify(
    place: &Place,
    service: &Service,
    tenant: Uuid,
    log: bool,
) -> Result<Pace, BenchError> {
    let failed = |message: String| BenchError::Service(message);
    let channel = channel(service.address).map_err(|error| failed(error.to_string()))?;
    let bearer = Bearer::value(&place.token(tenant)?).map_err(|error| failed(error.to_string()))?;
    let mut request = Request::new(wire::VerifyBooksRequest { accounts: Vec::new(), log });
    request.metadata_mut().insert("authorization", bearer);
    let told = |status: tonic::Status| failed(status.message().to_owned());
    let answer = BooksServiceClient::new(channel).verify_books(request).await;
    let mut messages = answer.map_err(told)?.into_inner();
    while let Some(message) = messages.message().await.map_err(told)? {
        if let Some(wrong) = message.mismatches.first() {
            let (count, first) = (message.mismatch_count, &wrong.resource);
            let what =
                format!("{count} mismatches, such as {} of {first}", wrong.check().as_str_name());
            return Err(BenchError::Books(what));
        }
        if message.done {
            return Ok(pace(&message));
        }
    }
    Err(failed("the verification did not end".to_owned()))
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
fn pace(last: &wire::VerifyBooksResponse) -> Pace {
    let elapsed = last.elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok());
    let seconds = elapsed.unwrap_or_default().as_secs_f64();
    Pace {
        accounts: last.accounts,
        entries: last.entries,
        transactions: last.transactions,
        leaves: last.leaves,
        seconds,
        entries_per_second: last.entries as f64 / seconds.max(1e-9),
    }
}

impl Report {
    /// Prints it as JSON.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Prints it for people.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Size { accounts, fill } = self.books;
        let (accounts, transfers) = (grouped(accounts), grouped(fill));
        let Self { fill_seconds, log_seconds, .. } = self;
        writeln!(
            out,
            "{accounts} accounts, {transfers} transfers, written in {fill_seconds:.0} s and in \
             the log after {log_seconds:.0} s"
        )?;
        for (what, pace) in [("without the log", &self.without_log), ("with it", &self.with_log)] {
            let count = |count: i64| grouped(u64::try_from(count).unwrap_or_default());
            writeln!(
                out,
                "{what:<16}{} entries, {} transactions, {} leaves in {:.1} s: {} entries/s",
                count(pace.entries),
                count(pace.transactions),
                count(pace.leaves),
                pace.seconds,
                whole(pace.entries_per_second)
            )?;
        }
        writeln!(out, "nothing was found")
    }
}
