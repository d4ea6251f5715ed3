//! Keys out of files, and the files that may hold them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::seal::key::KEY_LEN;
use crate::seal::{Key, KeyId, SealFailed};

/// Above this a file is no key file.
const MAX_FILE_LEN: u64 = 64 * 1024;
/// More keys than this are an accident: a rotation a day for years makes fewer.
pub(super) const MAX_KEYS: usize = 1024;
/// Nobody but the owner may write, and nobody outside owner and group may do anything. The group
/// may read, because Kubernetes mounts secrets that way for a process that is not root.
const FORBIDDEN_MODE: u32 = 0o037;

/// Why a key file cannot be used. No message holds anything of the file's content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others than its owner and group can get at it.
    #[error("key file {path}: mode {mode:03o} lets others in; use 600, or 640 for a group")]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key file.
    #[error("key file {path}: {problem}")]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No key could be made.
    #[error(transparent)]
    Failed(#[from] SealFailed),
}

impl KeyFileError {
    /// The operating system's word about a path.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// What is wrong at a path.
    pub(super) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into() }
    }
}

/// Reads a small file that nobody outside its owner and group can get at.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    // Before opening: a pipe would let the reader wait for ever.
    if !fs::metadata(path).map_err(KeyFileError::io(path))?.is_file() {
        return Err(KeyFileError::malformed(path, "is no regular file"));
    }
    let file = File::open(path).map_err(KeyFileError::io(path))?;
    let metadata = file.metadata().map_err(KeyFileError::io(path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    if metadata.len() > MAX_FILE_LEN {
        return Err(KeyFileError::malformed(path, format!("longer than {MAX_FILE_LEN} bytes")));
    }
    // Room for all of it at once: a buffer that grows would leave copies behind.
    let room = usize::try_from(MAX_FILE_LEN).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_FILE_LEN).read_to_string(&mut text).map_err(KeyFileError::io(path))?;
    Ok(text)
}

/// Some keys by their ids, one of them active.
pub struct Keys {
    active: KeyId,
    keys: BTreeMap<KeyId, Key>,
}

impl Keys {
    /// Keys of which one is active.
    pub(super) fn new(keys: Draft, active: &str) -> Result<Self, &'static str> {
        let active = KeyId::new(active).filter(|id| keys.0.contains_key(id));
        Ok(Self { active: active.ok_or("active names none of the keys")?, keys: keys.0 })
    }

    /// The id of the key that new wraps use.
    pub(super) fn active(&self) -> &KeyId {
        &self.active
    }

    /// All ids, in their order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.keys()
    }

    /// A key.
    pub(super) fn get(&self, id: &KeyId) -> Option<&Key> {
        self.keys.get(id)
    }

    /// An id that names one key here and another there.
    pub(super) fn contradicted_by(&self, later: &Self) -> Option<&KeyId> {
        let differs =
            |(id, key): &(&KeyId, &Key)| later.get(id).is_some_and(|other| !are_equal(key, other));
        self.keys.iter().find(differs).map(|(id, _)| id)
    }
}

/// Keys as they are read, one after the other.
#[derive(Default)]
pub(super) struct Draft(BTreeMap<KeyId, Key>);

impl Draft {
    /// Takes a key in base64. One key under two names is refused: removing one of them would look
    /// like destroying it.
    pub(super) fn insert(&mut self, id: &str, key: &str) -> Result<(), &'static str> {
        let id = KeyId::new(id).ok_or("id is malformed")?;
        let key = decode(key).ok_or("key is not 32 bytes in base64")?;
        if self.0.len() == MAX_KEYS {
            return Err("key is one too many");
        }
        if self.0.contains_key(&id) {
            return Err("id occurs twice");
        }
        if self.0.values().any(|other| are_equal(&key, other)) {
            return Err("key occurs twice");
        }
        self.0.insert(id, key);
        Ok(())
    }
}

fn are_equal(one: &Key, other: &Key) -> bool {
    verify_slices_are_equal(one.expose(), other.expose()).is_ok()
}

fn decode(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let bytes: &[u8; KEY_LEN] = bytes.as_slice().try_into().ok()?;
    Key::fill_with(|key| {
        key.copy_from_slice(bytes);
        Ok::<_, SealFailed>(())
    })
    .ok()
}
