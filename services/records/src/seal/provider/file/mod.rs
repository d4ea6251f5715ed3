//! Key-encryption keys in a file, or in a Kubernetes secret that is mounted as one.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Capabilities, KeyError, KeyProvider, ProviderFuture};
use crate::seal::key::KEY_LEN;
use crate::seal::{Context, Key, KeyId, SealBroken, SealFailed, Wrapped, wrap};

/// Above this a file is no key file.
const MAX_FILE_LEN: u64 = 64 * 1024;
/// Nobody but the owner may write, and nobody outside owner and group may do anything. The group
/// may read, because Kubernetes mounts secrets that way for a process that is not root.
const FORBIDDEN_MODE: u32 = 0o037;

/// Versions of a KEK in a JSON file, read once at start:
///
/// ```json
/// {"active": "kek-2", "keys": [{"id": "kek-1", "key": "<base64>"}, {"id": "kek-2", "key": ".."}]}
/// ```
///
/// Each key is 32 bytes. An operator rotates by adding a key and naming it active. A file can be
/// copied without a trace, so that destroying a version is not among the capabilities.
pub struct FileProvider {
    active: KeyId,
    keys: HashMap<KeyId, Key>,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile<'a> {
    active: &'a str,
    #[serde(borrow)]
    keys: Vec<KeyEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry<'a> {
    id: &'a str,
    key: &'a str,
}

impl FileProvider {
    /// Reads a key file.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        let malformed = |problem| KeyFileError::Malformed { path: path.to_owned(), problem };
        if metadata.len() > MAX_FILE_LEN {
            return Err(malformed(format!("longer than {MAX_FILE_LEN} bytes")));
        }
        let text = Zeroizing::new(io::read_to_string(file).map_err(failed)?);
        Self::parse(&text).map_err(malformed)
    }

    /// Creates a key file with one new key, readable by its owner only. It never replaces a file.
    pub fn create(path: &Path) -> Result<(), KeyFileError> {
        let key = Key::random()?;
        let secret = Zeroizing::new(STANDARD.encode(key.expose()));
        let id = format!("kek-{}", Uuid::now_v7().simple());
        let text = Zeroizing::new(format!(
            "{{\"active\": \"{id}\", \"keys\": [{{\"id\": \"{id}\", \"key\": \"{}\"}}]}}\n",
            secret.as_str(),
        ));
        write_new(path, text.as_bytes())
            .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The text of the parser's error may quote the file.
        let file: KeyFile<'_> = serde_json::from_str(text).map_err(|error| {
            format!("not a key file, at line {} column {}", error.line(), error.column())
        })?;
        let mut keys = HashMap::new();
        for (index, entry) in file.keys.iter().enumerate() {
            let id = KeyId::new(entry.id).ok_or(format!("keys[{index}].id is malformed"))?;
            let key = decode(entry.key).ok_or(format!("keys[{index}].key is not 32 bytes"))?;
            if keys.insert(id, key).is_some() {
                return Err(format!("keys[{index}].id occurs twice"));
            }
        }
        let active = KeyId::new(file.active).filter(|id| keys.contains_key(id));
        let active = active.ok_or("active names none of the keys")?;
        Ok(Self { active, keys })
    }

    fn wrap_now(&self, key: &Key, context: &Context) -> Result<Wrapped, KeyError> {
        let kek = self.keys.get(&self.active).ok_or(SealFailed)?;
        Ok(wrap::wrap(kek, &self.active, key, context)?)
    }

    fn unwrap_now(&self, wrapped: &Wrapped, context: &Context) -> Result<Key, KeyError> {
        let kek = self.keys.get(wrapped.key_id()).ok_or(SealBroken)?;
        Ok(wrap::unwrap(kek, wrapped, context)?)
    }
}

impl KeyProvider for FileProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities { rotate: false, destroy: false }
    }

    fn wrap<'a>(&'a self, key: &'a Key, context: &'a Context) -> ProviderFuture<'a, Wrapped> {
        Box::pin(async { self.wrap_now(key, context) })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> ProviderFuture<'a, Key> {
        Box::pin(async { self.unwrap_now(wrapped, context) })
    }
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

/// Writes a file that appears whole or not at all, and only where none was.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let draft = folder.join(format!(".{}.{}", name.to_string_lossy(), Uuid::now_v7().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        // A link, unlike a rename, refuses to replace.
        fs::hard_link(&draft, path)
    })();
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    File::open(folder)?.sync_all()
}
