//! The command line.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use shared::telemetry::{self, Telemetry};
use shared::{boot, config};
use tokio_util::sync::CancellationToken;

use crate::bench;
use crate::demo;
use crate::error::Error;
use crate::export;
use crate::import::{self, ImportError};
use crate::keys::Keys;
use crate::options::Options;
use crate::progress::Progress;
use crate::reconcile::{self, ReconcileError};
use crate::{report, restore, run, token, verify};

/// All of Strongroom in one process, on a Postgres that it finds or brings up
///
/// Without a command it serves until Ctrl-C or SIGTERM, and keeps its data for the next start.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version)]
// The terminal belongs to people here; what is routine goes to a service's own log.
#[command(mut_arg("log", |log| log.default_value("warn")))]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    telemetry: telemetry::Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a token of the issuer of development
    Token(token::Arguments),
    /// Write the contracts to standard output, as a `FileDescriptorSet` for gateways and clients
    Descriptor,
    /// Play a first story through the API, on the suite that runs or on one of its own
    Demo(demo::Arguments),
    /// Bring accounts, opening balances and history of another ledger into this one
    #[command(after_long_help = import::FILES)]
    Import(import::Arguments),
    /// Begin a new timeline in a schema that was restored to an earlier state, with the suite
    /// stopped
    Restore(restore::Arguments),
    /// Write the log of a tenant to a file, which can be verified without a server
    Export(export::ExportArguments),
    /// Write the proof that something was entered into the log
    Prove(export::ProveArguments),
    /// Write who saw what of a person, each line with its proof
    Accesses(export::AccessesArguments),
    /// Write the certificate of an erasure with its proof
    Erasure(export::ErasureArguments),
    /// Compare every account of a tenant with the ledger
    ///
    /// Prints what the two do not agree on. The exit code is 0 where there is nothing, 1 where
    /// there is something, and 2 where they could not be compared.
    Reconcile(reconcile::Arguments),
    /// Verify exports, proofs, statements, reports of accesses and erasures without a server and a
    /// database
    ///
    /// Whatever byte of them has changed, it is noticed and its line is named; the exit code is 1
    /// then.
    Verify(verify::Arguments),
    /// Measure a service, against pgbench on the same Postgres
    Bench(bench::Arguments),
}

/// `main` of the suite.
pub fn main() -> ExitCode {
    let cli = config::parse::<Cli>();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string(), ExitCode::FAILURE),
    };
    let result = runtime.block_on(Box::pin(command(cli)));
    // What was cut off must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As for values that clap refuses: EX_USAGE.
            let code = match error {
                Error::Usage(_) | Error::Configuration { .. } => ExitCode::from(64),
                // EX_DATAERR.
                Error::Import(ImportError::Data(_)) => ExitCode::from(65),
                Error::Reconcile(ReconcileError::Failed(_)) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            };
            failed(&error.to_string(), code)
        }
    }
}

fn failed(error: &str, code: ExitCode) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    code
}

async fn command(cli: Cli) -> Result<(), Error> {
    if let Some(Command::Token(arguments)) = cli.command {
        let token = token::sign(&Keys::open(&cli.options.state)?, arguments)?;
        return print(format!("{token}\n").as_bytes());
    }
    if let Some(Command::Descriptor) = cli.command {
        return print(strongroom_proto::FILE_DESCRIPTOR_SET);
    }
    if let Some(Command::Verify(arguments)) = &cli.command {
        return verify::run(arguments);
    }
    // Once for the process: all services report through it.
    let telemetry = Telemetry::start("suite", &cli.telemetry)?;
    let registry = telemetry.registry();
    let result = match cli.command {
        Some(Command::Bench(arguments)) => Box::pin(bench::run(&cli.options, arguments)).await,
        Some(Command::Demo(arguments)) => {
            Box::pin(demo::run(&cli.options, arguments, registry)).await
        }
        Some(Command::Export(arguments)) => {
            Box::pin(export::run(&cli.options, arguments, registry)).await
        }
        Some(Command::Prove(arguments)) => {
            Box::pin(export::prove(&cli.options, arguments, registry)).await
        }
        Some(Command::Accesses(arguments)) => {
            Box::pin(export::accesses(&cli.options, arguments, registry)).await
        }
        Some(Command::Erasure(arguments)) => {
            Box::pin(export::erasure(&cli.options, arguments, registry)).await
        }
        Some(Command::Import(arguments)) => {
            Box::pin(import::run(&cli.options, arguments, registry)).await
        }
        Some(Command::Reconcile(arguments)) => {
            Box::pin(reconcile::run(&cli.options, arguments, registry)).await
        }
        Some(Command::Restore(arguments)) => Box::pin(restore::run(&cli.options, &arguments)).await,
        _ => Box::pin(serve(&cli.options, registry)).await,
    };
    telemetry.shutdown().await;
    result
}

fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Error::file("standard output".as_ref()))
}

async fn serve(options: &Options, registry: prometheus::Registry) -> Result<(), Error> {
    let shutdown = boot::on_signal();
    let progress = Progress::on_stderr();
    let suite = tokio::select! {
        started = run::start(options, registry, &progress) => started?,
        // What has come up by then goes down with the process.
        () = shutdown.cancelled() => return Ok(()),
    };
    progress.clear();
    report::ready(&mut anstream::stdout().lock(), &suite, options, &progress)?;
    drop(progress);
    let patience = tokio::spawn(patience(shutdown.clone()));
    let result = suite.run(shutdown).await;
    patience.abort();
    result
}

/// Says that the end takes a moment, to those who cannot wait for it too.
async fn patience(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    let progress = Progress::on_stderr();
    progress.say("stopping: running calls may end; Ctrl-C again cuts them off");
    if tokio::signal::ctrl_c().await.is_ok() {
        progress.clear();
        // A private Postgres ends when it sees that nobody is there any more.
        std::process::exit(130);
    }
}
