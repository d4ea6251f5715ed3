//! What was signed, in files outside the database: one for each tenant and timeline, to which notes
//! are appended. Who has the file can tell a database that was set back.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::note::{Checkpoint, origin, peek};
use crate::ids::TenantId;

/// How much of the end of a file is read at the start: some thirty notes.
const TAIL_BYTES: u64 = 8_192;
const EXTENSION: &str = "notes";

/// A file of notes cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub struct PublishError(PathBuf, std::io::Error);

/// The folder of a service's notes in one timeline.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    service: &'static str,
    timeline: Uuid,
}

impl Folder {
    /// The folder `{root}/{service}`, made where there is none.
    pub(crate) fn open(
        root: &Path,
        service: &'static str,
        timeline: Uuid,
    ) -> Result<Self, PublishError> {
        let path = root.join(service);
        fs::create_dir_all(&path).map_err(|error| PublishError(path.clone(), error))?;
        Ok(Self { path, service, timeline })
    }

    /// Appends a note, so that it is there whatever happens next. Blocks.
    pub(crate) fn append(&self, tenant: TenantId, note: &str) -> Result<(), PublishError> {
        let path = self.path.join(format!("{}.{}.{EXTENSION}", tenant.uuid(), self.timeline));
        let is_new = !path.exists();
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            // The line before keeps it apart from a note that was cut off.
            file.write_all(format!("\n{note}").as_bytes())?;
            file.sync_all()?;
            if is_new { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| PublishError(path.clone(), error))
    }

    /// The largest log that was signed of each tenant in this timeline. Blocks.
    pub(crate) fn latest(&self) -> Result<Vec<(TenantId, Checkpoint)>, PublishError> {
        let fail = |error| PublishError(self.path.clone(), error);
        let mut latest = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let Some(tenant) = self.tenant(&path) else { continue };
            let text = tail(&path).map_err(|error| PublishError(path, error))?;
            let origin = origin(self.service, tenant, self.timeline);
            let signed = notes(&text, &origin).filter_map(peek);
            latest.extend(signed.max_by_key(|one| one.size).map(|one| (tenant, one)));
        }
        Ok(latest)
    }

    /// The latest timeline of which there are files. Timelines sort by when they began. Blocks.
    pub(crate) fn latest_timeline(&self) -> Result<Option<Uuid>, PublishError> {
        let fail = |error| PublishError(self.path.clone(), error);
        let mut latest = None;
        for entry in fs::read_dir(&self.path).map_err(fail)? {
            let named = named(&entry.map_err(fail)?.path());
            latest = latest.max(named.map(|(_, timeline)| timeline));
        }
        Ok(latest)
    }

    /// The tenant whose file in this timeline it is.
    fn tenant(&self, path: &Path) -> Option<TenantId> {
        named(path).filter(|(_, timeline)| *timeline == self.timeline).map(|(tenant, _)| tenant)
    }
}

/// The tenant and the timeline of a file.
fn named(path: &Path) -> Option<(TenantId, Uuid)> {
    let (tenant, rest) = path.file_name()?.to_str()?.split_once('.')?;
    let timeline = rest.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    Some((TenantId::from_uuid(tenant.parse().ok()?), timeline.parse().ok()?))
}

/// The notes of one log in the text of such a file, in their order. What was cut off is none.
pub fn read_notes<'a>(text: &'a str, origin: &'a str) -> Vec<&'a str> {
    notes(text, origin).filter(|note| peek(note).is_some()).collect()
}

fn notes<'a>(text: &'a str, origin: &str) -> impl Iterator<Item = &'a str> {
    let line = format!("{origin}\n");
    let starts: Vec<usize> = text.match_indices(&line).map(|(start, _)| start).collect();
    starts.into_iter().filter_map(|start| {
        let note = &text[start..];
        let signatures = note.find("\n\n")? + 2;
        let lines = note[signatures..].split_inclusive('\n');
        let signed: usize = lines.take_while(|line| line.starts_with('—')).map(str::len).sum();
        Some(&note[..signatures + signed])
    })
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::note::{LogKey, generate};
    use super::*;

    #[test]
    fn the_largest_whole_note_of_the_timeline_counts() {
        let root = tempfile::tempdir().unwrap();
        let (timeline, tenant) = (Uuid::now_v7(), TenantId::generate());
        let folder = Folder::open(root.path(), "records", timeline).unwrap();
        let key = LogKey::from_pem(&generate().unwrap().0).unwrap();
        let origin = origin("records", tenant, timeline);
        let note = |size| {
            let checkpoint = Checkpoint { origin: origin.clone(), size, root: [1; 32] };
            key.sign(&checkpoint).unwrap()
        };
        assert!(folder.latest().unwrap().is_empty());
        for size in [3, 9, 8] {
            folder.append(tenant, &note(size)).unwrap();
        }
        // A crash in the middle of a note, and life after it.
        let cut = note(70);
        folder.append(tenant, &cut[..cut.len() - 40]).unwrap();
        folder.append(tenant, &note(10)).unwrap();
        folder.append(tenant, &cut[..60]).unwrap();
        let latest = folder.latest().unwrap();
        assert_eq!(latest.iter().map(|(_, one)| one.size).collect::<Vec<_>>(), [10]);
        let path = folder.path.join(format!("{}.{timeline}.notes", tenant.uuid()));
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(read_notes(&text, &origin).len(), 4);

        let later = Uuid::now_v7();
        let other = Folder::open(root.path(), "records", later).unwrap();
        assert!(other.latest().unwrap().is_empty());
        assert_eq!(other.latest_timeline().unwrap(), Some(timeline));
        other.append(tenant, &note(1)).unwrap();
        assert_eq!(folder.latest_timeline().unwrap(), Some(later));
    }
}
