//! The server's log file.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{Error, command::tail};

/// A log longer than this is set aside at the next start.
const LIMIT: u64 = 8 << 20;

/// The server's log, from where this start began to write it.
pub(super) struct Log {
    pub(super) path: PathBuf,
    start: u64,
}

impl Log {
    /// The log in the cluster's folder, and the file to write it to.
    pub(super) fn open(base: &Path) -> Result<(Self, File), Error> {
        let path = base.join("server.log");
        let mut start = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::io(&path)(error)),
        };
        if start > LIMIT {
            fs::rename(&path, base.join("server.log.1")).map_err(Error::io(&path))?;
            start = 0;
        }
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(Error::io(&path))?;
        Ok((Self { path, start }, file))
    }

    /// The last lines of this start.
    pub(super) fn tail(&self) -> String {
        let mut bytes = Vec::new();
        // An unreadable log is an empty one: the message names its path.
        let _ = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.start))?;
            file.take(LIMIT).read_to_end(&mut bytes)
        });
        tail(&String::from_utf8_lossy(&bytes))
    }
}
