//! Key-encryption keys in a folder, as Kubernetes mounts a secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::keys::{Draft, KeyFileError, Keys, MAX_KEYS, read_secret};
use super::{Format, Local};

/// Versions of a KEK in a folder with a file for each. The file `<id>` holds the key, 32 bytes in
/// base64, and the file `active` the id of the active one; white space around them is ignored, and
/// so are the names that begin with a dot. No key can have the id `active`.
///
/// Kubernetes mounts a secret in this way, and replaces all of its files at once.
pub type MountedProvider = Local<KeyFolder>;

/// Each key in a file of its own.
pub enum KeyFolder {}

/// The file that names the active key.
const ACTIVE: &str = "active";
/// Where Kubernetes keeps the files: a link to the folder of the moment.
const DATA: &str = "..data";

impl Format for KeyFolder {
    fn read(path: &Path) -> Result<Keys, KeyFileError> {
        let folder = resolve(path)?;
        let active = read_secret(&folder.join(ACTIVE))?;
        let mut keys = Draft::default();
        for name in names(&folder)? {
            let file = folder.join(&name);
            let key = read_secret(&file)?;
            keys.insert(&name, key.trim())
                .map_err(|problem| KeyFileError::malformed(&file, problem))?;
        }
        Keys::new(keys, active.trim()).map_err(|problem| KeyFileError::malformed(path, problem))
    }
}

/// The folder of the moment. All files are read from it, so that a replacement in the middle never
/// mixes the old with the new: at worst the old folder is gone, and the reading fails.
fn resolve(path: &Path) -> Result<PathBuf, KeyFileError> {
    let data = path.join(DATA);
    match fs::canonicalize(&data) {
        Ok(folder) => Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(source) => Err(KeyFileError::Io { path: data, source }),
    }
}

/// The names of the files with keys.
fn names(folder: &Path) -> Result<Vec<String>, KeyFileError> {
    let failed = KeyFileError::io(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let name = entry.map_err(&failed)?.file_name();
        let Some(name) = name.to_str() else {
            return Err(KeyFileError::malformed(folder, "a name is no text"));
        };
        if name.starts_with('.') || name == ACTIVE {
            continue;
        }
        if names.len() == MAX_KEYS {
            return Err(KeyFileError::malformed(folder, format!("more than {MAX_KEYS} keys")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}
