//! pgbench, from the installation of the Postgres that is measured.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::BenchError;
use super::place::Place;
use super::sql::Admin;

/// How many clients are tried.
pub(super) const CLIENTS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// The database of the runs.
const DATABASE: &str = "postgres";
/// How much longer than asked for a run may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Scripts that were run a second.
    pub(super) per_second: f64,
    /// The median of their times in microseconds, for one client only.
    pub(super) p50: Option<u64>,
}

/// pgbench on this Postgres.
pub(super) struct Pgbench {
    program: PathBuf,
    folder: PathBuf,
    host: String,
    port: String,
    role: &'static str,
    password: String,
    /// Variables of all scripts.
    defines: Vec<(&'static str, String)>,
}

impl Pgbench {
    /// Finds it, and puts the scripts where it reads them. Blocks.
    pub(super) fn find(
        place: &Place,
        role: &'static str,
        scripts: &[(&str, &str)],
        defines: Vec<(&'static str, String)>,
    ) -> Result<Self, BenchError> {
        let mut admin: Admin = place.admin()?;
        let program = Path::new(&admin.programs()?).join("pgbench");
        if !program.is_file() {
            let message = format!("{} is missing; install it", program.display());
            return Err(BenchError::Pgbench(message));
        }
        for (name, script) in scripts {
            fs::write(place.folder().join(name), script)
                .map_err(|error| BenchError::System("a script of pgbench", error))?;
        }
        Ok(Self {
            program,
            folder: place.folder().to_owned(),
            host: admin.host()?,
            port: admin.setting("port")?,
            role,
            password: place.password().to_owned(),
            defines,
        })
    }

    /// Runs a script with so many clients for so many seconds.
    pub(super) async fn run(
        &self,
        script: &str,
        clients: u32,
        seconds: u64,
        defines: &[(&'static str, String)],
    ) -> Result<Pace, BenchError> {
        let system = |error| BenchError::System("pgbench", error);
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let log = tempfile::tempdir_in(&self.folder).map_err(system)?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            // PGHOST, PGOPTIONS and their like are meant for other servers.
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        for (name, value) in self.defines.iter().chain(defines) {
            command.arg(format!("--define={name}={value}"));
        }
        command
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--file={}", self.folder.join(script).display()))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", threads.min(clients as usize)))
            .arg(format!("--time={seconds}"))
            .env("PGHOST", &self.host)
            .env("PGPORT", &self.port)
            .env("PGUSER", self.role)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", DATABASE)
            .current_dir(log.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if clients == 1 {
            command.args(["--log", "--log-prefix=times"]);
        }
        let limit = Duration::from_secs(seconds) + LIMIT;
        let output = timeout(limit, command.output())
            .await
            .map_err(|_| BenchError::Pgbench("it does not end".to_owned()))?
            .map_err(system)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(per_second) = rate(&text).filter(|_| output.status.success()) else {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(BenchError::Pgbench(errors.trim().to_owned()));
        };
        let p50 = if clients == 1 { median(log.path()).map_err(system)? } else { None };
        Ok(Pace { per_second, p50 })
    }
}

/// Scripts a second, if all of them succeeded.
fn rate(report: &str) -> Option<f64> {
    let value = |name: &str| report.lines().find_map(|line| line.trim().strip_prefix(name));
    let failed = value("number of failed transactions: ")?;
    if !failed.starts_with("0 ") {
        return None;
    }
    value("tps = ")?.split(' ').next()?.parse().ok()
}

/// The median of the times in a log: the third column, in microseconds.
fn median(folder: &Path) -> std::io::Result<Option<u64>> {
    let mut times = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        let column = |line: &str| line.split(' ').nth(2)?.parse::<u64>().ok();
        times.extend(text.lines().filter_map(column));
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
transaction type: bare.sql
number of transactions actually processed: 4549
number of failed transactions: 0 (0.000%)
latency average = 0.876 ms
initial connection time = 4.031 ms
tps = 1140.458680 (without initial connection time)
";

    #[test]
    fn a_run_with_failures_has_no_rate() {
        assert_eq!(rate(REPORT), Some(1_140.458_680));
        let failed = REPORT.replace(": 0 (0.000%)", ": 3 (0.066%)");
        assert_eq!(rate(&failed), None);
        assert_eq!(rate(""), None);
    }

    #[test]
    fn the_median_is_over_all_threads() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("times.1"), "0 1 200 0 1700000000 1\n0 2 90 0 1 1\n").unwrap();
        fs::write(folder.path().join("times.1.1"), "1 1 100 0 1700000000 1\n").unwrap();
        assert_eq!(median(folder.path()).unwrap(), Some(100));
    }
}
