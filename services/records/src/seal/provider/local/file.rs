//! Key-encryption keys in one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::keys::{Draft, KeyFileError, Keys, read_secret};
use super::{Format, Local};
use crate::seal::Key;

/// Versions of a KEK in a JSON file:
///
/// ```json
/// {"active": "kek-2", "keys": [{"id": "kek-1", "key": "<base64>"}, {"id": "kek-2", "key": ".."}]}
/// ```
///
/// Each key is 32 bytes.
pub type FileProvider = Local<KeyFile>;

/// All keys in one JSON file.
pub enum KeyFile {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    active: &'a str,
    #[serde(borrow)]
    keys: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    id: &'a str,
    key: &'a str,
}

impl Format for KeyFile {
    fn read(path: &Path) -> Result<Keys, KeyFileError> {
        parse(&read_secret(path)?).map_err(|problem| KeyFileError::malformed(path, problem))
    }
}

fn parse(text: &str) -> Result<Keys, String> {
    // The text of the parser's error may quote the file.
    let document: Document<'_> = serde_json::from_str(text).map_err(|error| {
        format!("not a key file, at line {} column {}", error.line(), error.column())
    })?;
    let mut keys = Draft::default();
    for (index, entry) in document.keys.iter().enumerate() {
        keys.insert(entry.id, entry.key).map_err(|problem| format!("keys[{index}].{problem}"))?;
    }
    Ok(Keys::new(keys, document.active)?)
}

impl FileProvider {
    /// Creates a key file with one new key, readable by its owner only. It never replaces a file.
    pub fn create(path: &Path) -> Result<(), KeyFileError> {
        let key = Key::random()?;
        let secret = Zeroizing::new(STANDARD.encode(key.expose()));
        let id = format!("kek-{}", Uuid::now_v7().simple());
        let text = Zeroizing::new(format!(
            "{{\"active\": \"{id}\", \"keys\": [{{\"id\": \"{id}\", \"key\": \"{}\"}}]}}\n",
            secret.as_str(),
        ));
        write_new(path, text.as_bytes()).map_err(KeyFileError::io(path))
    }
}

/// Writes a file that appears whole or not at all, and only where none was.
pub(super) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
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
