//! The built binary as a process of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use suite::Addresses;

use crate::world::downloads;

/// Longest wait for an end, far above what a drain takes.
const END: Duration = Duration::from_secs(60);

/// The binary, without what the variables of this process would tell it.
pub(crate) fn strongroom(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("STRONGROOM_") && name != "STRONGROOM_POSTGRES_BIN" {
            command.env_remove(name);
        }
    }
    for service in ["ACCOUNTS", "RECORDS", "TRANSACTIONS"] {
        command.env(format!("STRONGROOM_{service}_PORT"), "0");
        command.env(format!("STRONGROOM_{service}_ADMIN_PORT"), "0");
    }
    command.env("STRONGROOM_STATE", state).env("STRONGROOM_DOWNLOADS", downloads());
    command.stdin(Stdio::null());
    command
}

/// A running suite.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) at: Addresses,
    /// Where metrics and health of accounts are.
    pub(crate) admin: SocketAddr,
    /// The folder of its Postgres, where that is its own.
    postgres: Option<PathBuf>,
}

impl Child {
    /// Starts a suite and waits until it says that it is ready. Blocks.
    pub(crate) fn start(state: &Path) -> Self {
        Self::launch(state, strongroom(state))
    }

    /// The same on a Postgres that is there, whose administrator has this URL.
    pub(crate) fn start_on(state: &Path, database_url: &str) -> Self {
        let mut command = strongroom(state);
        command.env("STRONGROOM_DATABASE_URL", database_url);
        // A slow machine is no failure.
        command.env("STRONGROOM_DEADLINE", "60").env("STRONGROOM_POOL_WAIT", "60");
        Self::launch(state, command)
    }

    /// The same with a command of the test's own. Blocks.
    pub(crate) fn launch(state: &Path, mut command: Command) -> Self {
        std::fs::create_dir_all(state).unwrap();
        let errors = state.join("stderr");
        let mut process =
            command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut rows: Vec<Vec<String>> = Vec::new();
        for line in lines.map_while(Result::ok) {
            rows.push(line.split_whitespace().map(str::to_owned).collect());
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let row = |name: &str| {
            let row = rows.iter().find(|row| row.len() == 3 && row[0] == name);
            row.unwrap_or_else(|| {
                panic!("no {name} in {rows:?}: {}", std::fs::read_to_string(&errors).unwrap())
            })
        };
        let address = |name| row(name)[1].parse().unwrap();
        Self {
            at: Addresses {
                accounts: address("accounts"),
                records: address("records"),
                transactions: address("transactions"),
            },
            admin: row("accounts")[2].parse().unwrap(),
            postgres: Some(row("postgres"))
                .filter(|row| row[1] == "private")
                .map(|row| PathBuf::from(&row[2])),
            process,
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits until it has ended. Blocks.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the suite does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process of its Postgres.
    pub(crate) fn postmaster(&self) -> Pid {
        let folder = self.postgres.as_ref().unwrap();
        let text = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
    }
}

/// Whether a process still runs.
pub(crate) fn runs(process: Pid) -> bool {
    rustix::process::test_kill_process(process).is_ok()
}

impl Drop for Child {
    fn drop(&mut self) {
        // Only where a test failed before the end: its Postgres ends with it.
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}
