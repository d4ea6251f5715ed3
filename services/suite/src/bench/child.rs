//! The processes of a run besides Postgres: the services, and the callers.
//!
//! All of them are this program with a hidden command. They end when their standard input is
//! closed, so that none is left behind, however the run ends.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use shared::boot::{listen, on_signal};
use shared::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::BenchError;
use super::load::{Event, Plan, Summary};

/// How long a service may take until it listens, and until it has ended.
const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long the callers may be silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The hidden commands.
pub(super) const SERVE: &str = "serve-ledger";
pub(super) const LOAD: &str = "load-ledger";
pub(super) const SERVE_RECORDS: &str = "serve-records";
pub(super) const SERVE_UNSEALED: &str = "serve-unsealed";
pub(super) const LOAD_RECORDS: &str = "load-records";
pub(super) const SERVE_ACCOUNTS: &str = "serve-accounts";
pub(super) const LOAD_ACCOUNTS: &str = "load-accounts";

/// A child of this process.
pub(super) struct Process {
    child: Child,
    pid: u32,
    /// Closing it ends the process.
    pub(super) input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program with a hidden command.
    pub(super) fn start(command: &str, variables: &[(&str, String)]) -> Result<Self, BenchError> {
        let failed = |error| BenchError::System(SERVE, error);
        // The running program, even if another has got its name meanwhile.
        let running = Path::new("/proc/self/exe");
        let named = || std::env::current_exe().map_err(failed);
        let program = if running.exists() { running.to_owned() } else { named()? };
        let mut child = Command::new(program)
            .arg0("strongroom")
            .args(["bench", command])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let gone = || failed(std::io::ErrorKind::NotFound.into());
        let pid = child.id().ok_or_else(gone)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
        Ok(Self { pid, input: child.stdin.take(), output, child })
    }

    /// The next line that it prints; none at its end.
    pub(super) async fn line(&mut self, limit: Duration) -> Result<Option<String>, String> {
        match timeout(limit, self.output.next_line()).await {
            Ok(line) => line.map_err(|error| error.to_string()),
            Err(_) => Err(format!("nothing was heard for {} s", limit.as_secs())),
        }
    }

    /// Closes its input, and waits for its end.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus, String> {
        self.input = None;
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => status.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it did not end within {} s", STOP_LIMIT.as_secs())),
        }
    }
}

/// A running replica of the service.
pub(super) struct Service {
    process: Process,
    /// Its process.
    pub(super) pid: u32,
    /// Where it is called.
    pub(super) address: SocketAddr,
}

impl Service {
    /// Starts a replica of the ledger with these variables beside those of this process.
    pub(super) async fn start(variables: &[(&str, String)]) -> Result<Self, BenchError> {
        Self::start_as(SERVE, variables).await
    }

    /// Starts a service by its hidden command.
    pub(super) async fn start_as(
        command: &str,
        variables: &[(&str, String)],
    ) -> Result<Self, BenchError> {
        let mut process = Process::start(command, variables)?;
        let line = process.line(START_LIMIT).await.map_err(BenchError::Service)?;
        let address = line.and_then(|line| line.parse().ok());
        let address =
            address.ok_or_else(|| BenchError::Service("it ended while it started".to_owned()))?;
        Ok(Self { pid: process.pid, process, address })
    }

    /// Lets it drain, and waits for its end.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        match self.process.stop().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BenchError::Service(status.to_string())),
            Err(reason) => Err(BenchError::Service(reason)),
        }
    }
}

/// Running callers.
pub(super) struct Callers {
    process: Process,
    /// Their process.
    pub(super) pid: u32,
}

impl Callers {
    /// Starts callers on a plan.
    pub(super) async fn start(plan: &Plan) -> Result<Self, BenchError> {
        let mut process = Process::start(LOAD, &[])?;
        let mut line = serde_json::to_vec(plan).map_err(|e| BenchError::Load(e.to_string()))?;
        line.push(b'\n');
        if let Some(input) = &mut process.input {
            let written = input.write_all(&line).await;
            written.map_err(|error| BenchError::System(LOAD, error))?;
        }
        Ok(Self { pid: process.pid, process })
    }

    /// The next thing they tell.
    pub(super) async fn next(&mut self) -> Result<Event, BenchError> {
        let line = self.process.line(SILENCE_LIMIT).await.map_err(BenchError::Load)?;
        let ended = || BenchError::Load("they ended early".to_owned());
        serde_json::from_str(&line.ok_or_else(ended)?)
            .map_err(|error| BenchError::Load(error.to_string()))
    }

    /// Waits for the last answer. Every call must have been settled as the contract has it.
    pub(super) async fn done(mut self) -> Result<Summary, BenchError> {
        loop {
            let Event::Done(summary) = self.next().await? else { continue };
            self.process.stop().await.map_err(BenchError::Load)?;
            return match &summary.failure {
                None => Ok(summary),
                Some(first) => {
                    let failed = summary.failed;
                    Err(BenchError::Load(format!("{failed} calls failed, the first with {first}")))
                }
            };
        }
    }
}

/// `main` of a replica: serves the ledger alone.
pub(super) async fn serve(config: transactions::Config) -> Result<(), BenchError> {
    serve_with(async |listener, shutdown| {
        transactions::serve(listener, config, Clock::system(), shutdown).await
    })
    .await
}

/// `main` of records alone.
pub(super) async fn serve_records(config: ::records::Config) -> Result<(), BenchError> {
    serve_with(async |listener, shutdown| {
        ::records::serve(listener, config, Clock::system(), shutdown).await
    })
    .await
}

/// `main` of accounts alone.
pub(super) async fn serve_accounts(config: ::accounts::Config) -> Result<(), BenchError> {
    serve_with(async |listener, shutdown| {
        ::accounts::serve(listener, config, Clock::system(), shutdown).await
    })
    .await
}

/// Serves on a free port that it prints, until its standard input is closed.
pub(super) async fn serve_with<E: std::fmt::Display>(
    serve: impl AsyncFnOnce(TcpListener, CancellationToken) -> Result<(), E>,
) -> Result<(), BenchError> {
    let shutdown = on_signal();
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await;
    let listener = listener.map_err(|error| BenchError::Service(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| BenchError::System(SERVE, error))?;
    let owner = shutdown.clone();
    // A thread, because a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        owner.cancel();
    });
    {
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{address}")
            .map_err(|error| BenchError::System("standard output", error))?;
    }
    serve(listener, shutdown).await.map_err(|error| BenchError::Service(error.to_string()))
}
