//! Making the data folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use super::{
    Error,
    command::{self, run},
    find::Installation,
    place::{User, remove},
    random_password,
};

/// The role that owns the cluster.
pub(super) const SUPERUSER: &str = "postgres";
/// Limit for initdb, which takes about half a second.
const INITDB_LIMIT: Duration = Duration::from_secs(60);

/// The superuser's password, kept beside the data; made with the first data folder.
pub(super) fn password(base: &Path, data_exists: bool) -> Result<String, Error> {
    let path = base.join("password");
    match fs::read_to_string(&path) {
        Ok(password) if !password.trim().is_empty() => return Ok(password.trim().to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(&path)(error)),
        _ if data_exists => {
            return Err(Error::folder(&path, "is lost; without it the data beside it is locked"));
        }
        _ => {}
    }
    let password = random_password()?;
    write_secret(&path, &password)?;
    Ok(password)
}

/// Makes `data`, all or nothing: a run that is cut off leaves only a folder that the next clears.
pub(super) fn create(
    postgres: &Installation,
    data: &Path,
    user: Option<&User>,
    password: &str,
) -> Result<(), Error> {
    let part = data.with_extension("part");
    let secret = data.with_extension("secret");
    remove(&part)?;
    DirBuilder::new().mode(0o700).create(&part).map_err(Error::io(&part))?;
    write_secret(&secret, password)?;
    if let Some(user) = user {
        user.own(&part)?;
        user.own(&secret)?;
    }
    let base = data.parent().unwrap_or(data);
    let mut initdb = command::postgres(&postgres.program("initdb"), base, user);
    initdb
        .arg("--pgdata")
        .arg(&part)
        .arg(format!("--username={SUPERUSER}"))
        .arg("--pwfile")
        .arg(&secret)
        // Sorting and messages do not depend on the machine.
        .args(["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        // See `sync`.
        .args(["--no-sync", "--no-instructions"]);
    let made = run(initdb, INITDB_LIMIT);
    // A second copy of the password is not kept, whether or not this worked.
    fs::remove_file(&secret).map_err(Error::io(&secret))?;
    made?;
    fs::rename(&part, data).map_err(Error::io(data))
}

/// Starts to bring a fresh data folder to disk.
///
/// It is left out of `create` because it can take seconds on a busy disk, and the server may run
/// meanwhile. Until it ends, a crash of the machine (not of a process) may cost the new cluster.
pub(super) fn sync(
    postgres: &Installation,
    data: &Path,
    user: Option<&User>,
) -> Result<Child, Error> {
    let base = data.parent().unwrap_or(data);
    let program = postgres.program("initdb");
    command::postgres(&program, base, user)
        .arg("--pgdata")
        .arg(data)
        .arg("--sync-only")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io(&program))
}

/// The major version that made `data`; `None` if there is none yet.
pub(super) fn major(data: &Path) -> Result<Option<u32>, Error> {
    let path = data.join("PG_VERSION");
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(16).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(&path)(error)),
    }
    let major = text.trim().parse();
    major.map(Some).map_err(|_| Error::folder(&path, "holds no version of Postgres"))
}

/// A new file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(path)(error)),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(Error::io(path))
}
