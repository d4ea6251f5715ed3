//! Who uses a cluster's folder. The kernel frees both locks when their holders end, however.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use super::Error;

/// An owner that was killed just before may need a moment to be gone.
const HANDOVER: Duration = Duration::from_millis(500);

/// Claims the folder for this process, for as long as the answer is kept.
pub(super) fn owner(base: &Path) -> Result<File, Error> {
    let path = base.join("owner.lock");
    let mut file = open(&path)?;
    if !acquire(&file, HANDOVER).map_err(Error::io(&path))? {
        let mut owner = String::new();
        // Only a help for the reader.
        let known = file.read_to_string(&mut owner).is_ok() && !owner.is_empty();
        if !known {
            "another process".clone_into(&mut owner);
        }
        let folder = base.to_path_buf();
        return Err(Error::InUse { folder, owner });
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "process {}", process::id()))
        .map_err(Error::io(&path))?;
    Ok(file)
}

/// Waits until no server process of an earlier run is left, and takes their lock for the next
/// ones; `None` if some are left after `limit`.
///
/// It is handed to the server as an open file, so that only the end of its last process frees it.
pub(super) fn server(base: &Path, limit: Duration) -> Result<Option<File>, Error> {
    let path = base.join("server.lock");
    let file = open(&path)?;
    let free = acquire(&file, limit).map_err(Error::io(&path))?;
    Ok(free.then_some(file))
}

/// Tries to lock `file` until `limit` is over, and tells whether that worked.
pub(super) fn acquire(file: &File, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::io(path))
}
