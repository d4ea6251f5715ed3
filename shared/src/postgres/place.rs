//! Where a cluster lives, and as whom its server runs.

use std::{
    fs::{self, DirBuilder, Metadata, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use super::{Error, Progress, hex};

/// Stands in for folders that the server's user cannot reach. Unlike /tmp it survives a reboot.
const SHARED: &str = "/var/tmp";
/// The id of `nobody` on the systems that do not list it.
const NOBODY: u32 = 65534;

/// The unprivileged user that a server runs as when we are root, which Postgres refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// `None` unless we are root: then the server runs as ourselves.
    pub(super) fn for_server() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        Some(Self::pick(&fs::read_to_string("/etc/passwd").unwrap_or_default()))
    }

    /// `postgres` if the system has it, else `nobody`. Lines are as in passwd(5).
    pub(super) fn pick(passwd: &str) -> Self {
        let find = |wanted: &str| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next().filter(|name| *name == wanted)?;
                let uid = fields.nth(1)?.parse().ok().filter(|uid| *uid != 0)?;
                let gid = fields.next()?.parse().ok()?;
                Some(Self { name: name.to_owned(), uid, gid })
            })
        };
        find("postgres").or_else(|| find("nobody")).unwrap_or_else(|| Self {
            name: "nobody".to_owned(),
            uid: NOBODY,
            gid: NOBODY,
        })
    }

    /// Whether this user may enter `folder` and all folders above it.
    pub(super) fn reaches(&self, folder: &Path) -> bool {
        folder.ancestors().all(|part| fs::metadata(part).is_ok_and(|found| self.may_enter(&found)))
    }

    fn may_enter(&self, folder: &Metadata) -> bool {
        let bit = match (folder.uid() == self.uid, folder.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        folder.mode() & bit != 0
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(path))
    }
}

/// Makes `folder` if needed and gives its absolute path, or a stand-in that `user` can reach.
pub(super) fn prepare(
    folder: &Path,
    user: Option<&User>,
    progress: Progress<'_>,
) -> Result<PathBuf, Error> {
    let missing = !folder.exists();
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let path = folder.canonicalize().map_err(Error::io(folder))?;
    let Some(user) = user else { return Ok(path) };
    if missing {
        // Whatever the umask says: the server's user has to pass. Secrets in it are 0600.
        open_to_all(&path)?;
    }
    if user.reaches(&path) {
        return Ok(path);
    }
    let other = stand_in(&path)?;
    if missing {
        // It was only needed to learn its path. If it has got content meanwhile, it stays.
        let _ = fs::remove_dir(&path);
    }
    progress(&format!(
        "user {} cannot reach {}: using {}",
        user.name,
        path.display(),
        other.display()
    ));
    Ok(other)
}

/// A folder under [`SHARED`] that belongs to `path` alone, made if needed.
fn stand_in(path: &Path) -> Result<PathBuf, Error> {
    let name = hex(&digest(&SHA256, path.as_os_str().as_encoded_bytes()).as_ref()[..8]);
    let folder = Path::new(SHARED).join(format!("strongroom-{name}"));
    match DirBuilder::new().mode(0o755).create(&folder) {
        Ok(()) => open_to_all(&folder)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => trusted(&folder)?,
        Err(error) => return Err(Error::io(&folder)(error)),
    }
    Ok(folder)
}

/// Refuses a folder that somebody else could have filled: everybody may write to [`SHARED`].
pub(super) fn trusted(folder: &Path) -> Result<(), Error> {
    let found = fs::symlink_metadata(folder).map_err(Error::io(folder))?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && ours && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::folder(folder, "is not a folder that only its owner, this user, can write to"))
}

/// Sets 0755.
pub(super) fn open_to_all(path: &Path) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::io(path))
}

/// Deletes a folder with all that is in it, if there is one.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}
