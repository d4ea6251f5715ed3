//! The cluster as a whole: a folder, a server, an owner.

use std::{
    fmt::{self, Debug, Formatter},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use super::{
    Durability, Error, Options, Progress,
    command::{self, run, wait},
    find::{Installation, Search},
    initdb, lock,
    place::{self, User},
    roles::encode,
    server::{CUT_LIMIT, Launch, Server},
};

/// A running private cluster. It stops when this value is dropped or its process dies.
pub struct Cluster {
    server: Server,
    postgres: Installation,
    base: PathBuf,
    url: String,
    durability: Durability,
    /// Brings a fresh folder to disk, see [`initdb::sync`].
    sync: Option<Child>,
    stop_timeout: Duration,
    stopped: bool,
    /// Keeps other processes off the folder.
    _owner: File,
}

impl Cluster {
    /// Starts a cluster on the folder of `options`, and makes it first if it is new.
    ///
    /// A server that an earlier process left behind is stopped first; one of a process that is
    /// alive is [`Error::InUse`]. As root the server runs as `postgres` or `nobody`, and if that
    /// user cannot reach the folder, the cluster lives in one under /var/tmp instead.
    pub fn start(options: &Options, progress: Progress<'_>) -> Result<Self, Error> {
        let user = User::for_server();
        let base = place::prepare(&options.state, user.as_ref(), progress)?;
        let owner = lock::owner(&base)?;
        if options.durability == Durability::Durable {
            return start_in(base, owner, user.as_ref(), options, progress);
        }
        refuse_content(&base)?;
        let started = start_in(base.clone(), owner, user.as_ref(), options, progress);
        if started.is_err() {
            place::remove(&base)?;
        }
        started
    }

    /// How the superuser connects: through the Unix socket where possible, else 127.0.0.1. Holds
    /// the password. Clients that do not know the parameter `host` use 127.0.0.1.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the cluster lives. `server.log` in it is the server's log.
    pub fn folder(&self) -> &Path {
        &self.base
    }

    /// The path of a program for clients, such as `pg_dump`; `None` where there is none.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        self.postgres.tool(name)
    }

    /// Stops the server and waits for its end. Open transactions are rolled back.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        if let Some(mut sync) = self.sync.take() {
            let ended = wait(&mut sync, self.stop_timeout);
            if !matches!(ended, Ok(Some(status)) if status.success()) {
                tracing::warn!("the new data folder may not be on disk yet");
                // A process that has just ended cannot be killed, and need not be.
                let _ = sync.kill().and_then(|()| sync.wait());
            }
        }
        self.server.stop()?;
        match self.durability {
            Durability::Durable => Ok(()),
            Durability::Throwaway => place::remove(&self.base),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "private Postgres");
        }
    }
}

/// Without the URL, because of the password.
impl Debug for Cluster {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("base", &self.base).finish_non_exhaustive()
    }
}

fn start_in(
    base: PathBuf,
    owner: File,
    user: Option<&User>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Cluster, Error> {
    let data = base.join("data");
    let major = initdb::major(&data)?;
    let binaries = options.binaries.as_deref();
    let search = Search { binaries, downloads: &options.downloads, user, major };
    let postgres = search.find(progress)?;
    let lock = take_over(&base, &postgres, user, options, progress)?;

    let password = initdb::password(&base, major.is_some())?;
    if major.is_none() {
        progress("making a data folder");
        initdb::create(&postgres, &data, user, &password)?;
    }
    if options.durability == Durability::Throwaway
        && let Some(user) = user
    {
        // So that the server's shell can delete it if this process is killed.
        user.own(&base)?;
    }
    progress(if data.join("postmaster.pid").exists() {
        "starting Postgres, which recovers from a crash"
    } else {
        "starting Postgres"
    });
    let server = Launch { postgres: &postgres, base: &base, user, options, lock }.start()?;
    let fresh = major.is_none() && options.durability == Durability::Durable;
    let sync = fresh.then(|| initdb::sync(&postgres, &data, user)).transpose()?;
    let url = url(&server, &password);
    Ok(Cluster {
        server,
        postgres,
        base,
        url,
        durability: options.durability,
        sync,
        stop_timeout: options.stop_timeout,
        stopped: false,
        _owner: owner,
    })
}

/// Takes the server's lock, and stops a server that an earlier process left behind.
///
/// Usually that is stopping already, because its owner is dead. If its shell was killed as well,
/// it needs to be told.
fn take_over(
    base: &Path,
    postgres: &Installation,
    user: Option<&User>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<File, Error> {
    if let Some(lock) = lock::server(base, Duration::ZERO)? {
        return Ok(lock);
    }
    progress("stopping the server of an earlier run");
    for (mode, limit) in [("fast", options.stop_timeout), ("immediate", CUT_LIMIT)] {
        let mut stop = command::postgres(&postgres.program("pg_ctl"), base, user);
        stop.args(["stop", "--mode", mode, "--silent"])
            .arg(format!("--timeout={}", limit.as_secs()))
            .arg("--pgdata")
            .arg(base.join("data"));
        // The lock tells whether it worked; a server that has just ended is no failure.
        let _ = run(stop, limit + CUT_LIMIT);
        if let Some(lock) = lock::server(base, CUT_LIMIT)? {
            return Ok(lock);
        }
    }
    Err(Error::Orphan { folder: base.to_path_buf() })
}

fn url(server: &Server, password: &str) -> String {
    let (user, password, port) = (initdb::SUPERUSER, encode(password), server.port);
    let url = format!("postgres://{user}:{password}@127.0.0.1:{port}/postgres");
    match server.socket.as_deref().and_then(Path::to_str) {
        Some(socket) => url + "?host=" + &encode(socket),
        None => url,
    }
}

/// A throw-away cluster deletes its folder, so it takes none with anything of others in it.
fn refuse_content(base: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(base).map_err(Error::io(base))? {
        if entry.map_err(Error::io(base))?.file_name() != "owner.lock" {
            return Err(Error::folder(base, "is not empty; a throw-away cluster would delete it"));
        }
    }
    Ok(())
}
