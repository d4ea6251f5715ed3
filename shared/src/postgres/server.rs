//! The server process: how it is started, awaited and stopped.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Durability, Error, Options,
    command::{self, wait},
    find::Installation,
    log::Log,
    place::User,
    settings,
};

/// Starts the server and stops it when its standard input is closed.
const SCRIPT: &str = include_str!("server.sh");
/// Longest socket path that both Linux (107 bytes) and macOS (103) take.
const SOCKET_PATH_LIMIT: usize = 103;
/// After connections were cut, Postgres itself kills what is left after 5 s.
pub(super) const CUT_LIMIT: Duration = Duration::from_secs(10);
/// How often a free port may be taken by another process before the server binds it.
const PORT_ATTEMPTS: u32 = 3;

/// All that a start needs.
pub(super) struct Launch<'a> {
    pub(super) postgres: &'a Installation,
    pub(super) base: &'a Path,
    pub(super) user: Option<&'a User>,
    pub(super) options: &'a Options,
    /// From [`super::lock::server`].
    pub(super) lock: File,
}

/// A server that answers.
pub(super) struct Server {
    process: Process,
    /// On 127.0.0.1.
    pub(super) port: u16,
    /// The folder of the Unix socket, if this process can connect through it.
    pub(super) socket: Option<PathBuf>,
}

impl Launch<'_> {
    /// Starts the server and waits until it answers.
    pub(super) fn start(self) -> Result<Server, Error> {
        let mut attempt = 1;
        loop {
            let port = self.options.port.map_or_else(free_port, Ok)?;
            match self.start_on(port) {
                Err(Error::Ended { tail, .. })
                    if self.options.port.is_none()
                        && attempt < PORT_ATTEMPTS
                        && tail.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn start_on(&self, port: u16) -> Result<Server, Error> {
        let data = self.base.join("data");
        let socket = socket_folder(&data, port);
        let (log, file) = Log::open(self.base)?;
        // What a crashed server left behind may also say "ready".
        let status = data.join("postmaster.pid");
        let stale = fs::read_to_string(&status).ok();

        let mut process = self.spawn(port, socket, file)?;
        process.wait_until(self.options.start_timeout, &log, || {
            fs::read_to_string(&status).is_ok_and(|now| Some(&now) != stale.as_ref() && ready(&now))
        })?;
        let name = format!(".s.PGSQL.{port}");
        let socket = socket.filter(|folder| UnixStream::connect(folder.join(name)).is_ok());
        Ok(Server { process, port, socket: socket.map(Path::to_path_buf) })
    }

    fn spawn(&self, port: u16, socket: Option<&Path>, log: File) -> Result<Process, Error> {
        let (signal, doomed) = match self.options.durability {
            // Fast: rolls back what is open, and writes a checkpoint.
            Durability::Durable => ("INT", Path::new("")),
            // Immediate: the data is deleted anyway.
            Durability::Throwaway => ("QUIT", self.base),
        };
        let shell = Path::new("/bin/sh");
        let lock = self.lock.try_clone().map_err(Error::io(self.base))?;
        let mut command = command::postgres(shell, self.base, self.user);
        command
            .args(["-c", SCRIPT, "strongroom-postgres", signal])
            .arg(self.options.stop_timeout.as_secs().to_string())
            .arg(doomed)
            .arg(self.postgres.program("postgres"))
            .arg("-D")
            .arg(self.base.join("data"))
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(log);
        for setting in settings::all(self.options, port, socket) {
            command.arg("-c").arg(setting);
        }
        let mut child = command.spawn().map_err(Error::io(shell))?;
        let limit = self.options.stop_timeout + CUT_LIMIT;
        Ok(Process { owner: child.stdin.take(), child, limit })
    }
}

impl Server {
    /// Stops it, first in an orderly way, then at once. Only the first call does anything.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        self.process.stop()
    }
}

/// The shell that runs [`SCRIPT`], which ends when the server has ended.
struct Process {
    child: Child,
    /// Closing it stops the server. No other child inherits it: std opens it close-on-exec.
    owner: Option<ChildStdin>,
    /// Longest wait for both ways to stop together.
    limit: Duration,
}

impl Process {
    fn wait_until(
        &mut self,
        limit: Duration,
        log: &Log,
        ready: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        while !ready() {
            let ended = self.child.try_wait().map_err(Error::io(&log.path))?;
            if ended.is_some() {
                let (log, tail) = (log.path.clone(), log.tail());
                return Err(Error::Ended { log, tail });
            }
            if Instant::now() >= deadline {
                let (waited, log, tail) = (limit, log.path.clone(), log.tail());
                return Err(Error::NotReady { waited, log, tail });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Some(owner) = self.owner.take() else {
            return Ok(());
        };
        drop(owner);
        let waited = self.limit;
        match wait(&mut self.child, waited) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::NotStopped { waited }),
            Err(error) => Err(Error::io(Path::new("/bin/sh"))(error)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "private Postgres");
        }
    }
}

/// The eighth line of `postmaster.pid` is the server's state.
fn ready(status: &str) -> bool {
    status.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// The data folder, if a socket in it has a path that systems and clients take. Only the server's
/// user and root can enter it, so the socket is closed to all others.
pub(super) fn socket_folder(data: &Path, port: u16) -> Option<&Path> {
    let length = data.join(format!(".s.PGSQL.{port}")).as_os_str().len();
    // libpq reads a comma in a host as the start of another host.
    let plain = data.to_str().is_some_and(|path| !path.contains([',', '\n']));
    (plain && length <= SOCKET_PATH_LIMIT).then_some(data)
}

fn free_port() -> Result<u16, Error> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = address.map(|address| address.port());
    port.map_err(Error::io(Path::new("127.0.0.1")))
}
