//! Why nothing was imported, or not all.

use std::path::{Path, PathBuf};

/// Why nothing was imported, or not all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The extension says nothing.
    #[error("{}: must end with .csv, .ndjson or .jsonl", .0.display())]
    Format(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// Rows break rules: nothing was written.
    #[error("nothing was imported, because of:{0}")]
    Data(String),
    /// The file is not the one that was begun.
    #[error(
        "{} has changed since an import of it was begun: finish that with the file as it was, or \
         remove {} to begin anew with this one",
        path.display(),
        progress.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The file that says how far the import has come.
        progress: PathBuf,
    },
    /// The progress is of something else.
    #[error("{}: {message}", path.display())]
    Progress {
        /// The file that says how far the import has come.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The ledger does not do what it is asked for.
    #[error("the ledger refused {what}: {message}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Code, reason and message.
        message: String,
    },
    /// Some rows were refused.
    #[error("{count} of the rows were refused by the ledger, and all others imported")]
    Rows {
        /// How many.
        count: usize,
    },
}

impl ImportError {
    /// For `map_err` after a file operation on `path`.
    pub(super) fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::File { path: path.to_owned(), message: error.to_string() }
    }
}
