//! The object store: sealed segments of bodies that are too large for the database, and whatever
//! has to outlive it.
//!
//! What is put is durable once the call returns. Every attempt has a time limit, and there are few
//! of them. Nothing here opens or seals anything.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use futures_util::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, PutMode};
use shared::task;
use tonic::codegen::Bytes;
use url::Url;

/// How often something is tried.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; four times as long before the next.
const PAUSE: Duration = Duration::from_millis(50);
/// All that may ever be deleted lies below it.
const DELETABLE: &str = "bodies";
/// A tenant and a record are the least that a path names whose objects are deleted.
const DELETABLE_DEPTH: usize = 3;

/// A bucket or a folder.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where it is a folder.
    folder: Option<PathBuf>,
    timeout: Duration,
}

/// The object store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("object store {url}: {problem}")]
pub(crate) struct ObjectsError {
    url: String,
    problem: String,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ObjectError {
    /// The object is gone, or has another size than it had.
    #[error("the object is not as it was put")]
    Missing,
    /// There is an object of that name.
    #[error("there is an object of that name")]
    Exists,
    /// The store did not answer, or failed.
    #[error("the object store is away: {0}")]
    Away(String),
}

impl From<io::Error> for ObjectError {
    fn from(error: io::Error) -> Self {
        Self::Away(error.to_string())
    }
}

impl Objects {
    /// Opens what a URL names: `file:///folder`, which has to exist, and `s3://bucket/prefix` where
    /// the build has it, with credentials from the environment as AWS names them.
    pub(crate) fn open(url: &str, timeout: Duration) -> Result<Self, ObjectsError> {
        let failed = |problem: String| ObjectsError { url: url.to_owned(), problem };
        let parsed = Url::parse(url).map_err(|error| failed(error.to_string()))?;
        let folder = match parsed.scheme() {
            "file" => parsed.to_file_path().map_err(|()| failed("is no folder".to_owned()))?,
            "s3" => return bucket(&parsed, timeout).map_err(|error| failed(error.to_string())),
            _ => return Err(failed("must be file:///folder or s3://bucket".to_owned())),
        };
        let folder = folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(&folder);
        // Or a crash of the machine would take what the database says is there.
        let store = store.map_err(|error| failed(error.to_string()))?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(folder), timeout })
    }

    /// Puts an object, in place of one of that name.
    pub(crate) async fn put(&self, path: &str, body: Bytes) -> Result<(), ObjectError> {
        self.put_as(path, body, PutMode::Overwrite).await
    }

    /// Puts an object where there is none of that name.
    pub(crate) async fn create(&self, path: &str, body: Bytes) -> Result<(), ObjectError> {
        self.put_as(path, body, PutMode::Create).await
    }

    async fn put_as(&self, path: &str, body: Bytes, mode: PutMode) -> Result<(), ObjectError> {
        let path = parse(path)?;
        let put = || {
            let (store, path, body) = (Arc::clone(&self.store), path.clone(), body.clone());
            let mode = mode.clone();
            async move { store.put_opts(&path, body.into(), mode.into()).await }
        };
        self.tried(put).await?;
        Ok(())
    }

    /// Reads an object of at most `max` bytes; a larger one is not what was put.
    pub(crate) async fn get(&self, path: &str, max: u64) -> Result<Bytes, ObjectError> {
        self.read(path, None, |size| size <= max).await
    }

    /// Reads a range of an object that has exactly `size` bytes.
    pub(crate) async fn get_range(
        &self,
        path: &str,
        size: u64,
        range: Range<u64>,
    ) -> Result<Bytes, ObjectError> {
        let length = range.end - range.start;
        let bytes = match self.read(path, Some(range), |found| found == size).await {
            // A range beyond the end is a failure of the store as some of them tell it.
            Err(ObjectError::Away(problem)) => match self.size(path).await? {
                found if found == size => return Err(ObjectError::Away(problem)),
                _ => return Err(ObjectError::Missing),
            },
            read => read?,
        };
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ObjectError::Missing) }
    }

    async fn read(
        &self,
        path: &str,
        range: Option<Range<u64>>,
        fits: impl Fn(u64) -> bool + Copy + Send,
    ) -> Result<Bytes, ObjectError> {
        let path = parse(path)?;
        let read = || {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            let options = GetOptions::new().with_range(range.clone());
            async move {
                let found: GetResult = store.get_opts(&path, options).await?;
                if fits(found.meta.size) { found.bytes().await.map(Some) } else { Ok(None) }
            }
        };
        self.tried(read).await?.ok_or(ObjectError::Missing)
    }

    async fn size(&self, path: &str) -> Result<u64, ObjectError> {
        let path = parse(path)?;
        let head = || {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            async move { store.head(&path).await }
        };
        Ok(self.tried(head).await?.size)
    }

    /// The names below `prefix` that come after `after`, in order: at most `limit`.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, ObjectError> {
        let mut names = BTreeSet::new();
        let mut listing = self.store.list(Some(&parse(prefix)?));
        while let Some(found) = self.within(listing.next()).await? {
            let name = String::from(found.map_err(away)?.location);
            if name.as_str() > after {
                names.insert(name);
            }
            if names.len() > limit {
                names.pop_last();
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Deletes all objects below a prefix that names a record at least; there need not be any. Any
    /// other prefix is `Missing`.
    pub(crate) async fn delete_all(&self, prefix: &str) -> Result<(), ObjectError> {
        let path = parse(prefix)?;
        let parts: Vec<_> = path.parts().collect();
        // The prefix comes from the database: what is wrong there must not take everything.
        if parts.len() < DELETABLE_DEPTH || parts[0].as_ref() != DELETABLE {
            tracing::error!(prefix, "objects that are no bodies were to be deleted");
            return Err(ObjectError::Missing);
        }
        if let Some(root) = self.folder.clone() {
            let folder = root.join(path.as_ref());
            let removed = self.within(task::blocking(move || remove(&root, &folder)));
            return Ok(removed.await?.map_err(io::Error::other)??);
        }
        let found = self.store.list(Some(&path)).map(|found| found.map(|found| found.location));
        let mut deleting = self.store.delete_stream(found.boxed());
        while let Some(deleted) = self.within(deleting.next()).await? {
            match deleted {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(away(error)),
            }
        }
        Ok(())
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, ObjectError> {
        let done = tokio::time::timeout(self.timeout, work).await;
        done.map_err(|_| ObjectError::Away(format!("no answer in {:?}", self.timeout)))
    }

    async fn tried<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, ObjectError> {
        let (mut left, mut pause) = (ATTEMPTS, PAUSE);
        loop {
            let problem = match self.within(work()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(Error::NotFound { .. })) => return Err(ObjectError::Missing),
                Ok(Err(Error::AlreadyExists { .. })) => return Err(ObjectError::Exists),
                Ok(Err(error)) => away(error),
                Err(late) => late,
            };
            left -= 1;
            if left == 0 {
                return Err(problem);
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
    }
}

fn parse(path: &str) -> Result<Path, ObjectError> {
    Path::parse(path).map_err(|error| ObjectError::Away(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn away(error: Error) -> ObjectError {
    ObjectError::Away(error.to_string())
}

fn bucket(url: &Url, timeout: Duration) -> object_store::Result<Objects> {
    let environment = std::env::vars_os();
    let options = environment.filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        name.starts_with("AWS_").then_some((name, value))
    });
    let (store, prefix) = object_store::parse_url_opts(url, options)?;
    Ok(Objects { store: Arc::new(PrefixStore::new(store, prefix)), folder: None, timeout })
}

/// Removes a folder with all that is in it, also what a crash has left of a put, and the folders
/// above that are empty now.
fn remove(root: &Folder, folder: &Folder) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut above = folder.parent();
    while let Some(folder) = above.filter(|folder| *folder != root) {
        // One that is not empty is in use.
        if fs::remove_dir(folder).is_err() && folder.exists() {
            fs::File::open(folder)?.sync_all()?;
            break;
        }
        above = folder.parent();
    }
    Ok(())
}
