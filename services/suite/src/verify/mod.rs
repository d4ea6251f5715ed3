//! `strongroom verify`: proves exports, proofs, statements, reports of accesses and erasures
//! without a server and without a database. Whoever has the key of the log can do it.

mod accesses;
mod books;
mod erasure;
mod export;
mod lines;
mod proof;
mod report;
mod seal;
mod statement;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use report::{Check, Finding, Report};
pub use seal::Trust;

use crate::error::Error;
use crate::export::{ACCESS, ERASURE, EXPORT, PROOF};
use lines::Lines;
use statement::STATEMENT;

/// Why files cannot be verified, or do not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// Something is not as it must be.
    #[error("{count} of {of} files do not hold")]
    Wrong {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },
}

impl VerifyError {
    /// For `map_err` after a file operation on `path`.
    fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::File { path: path.to_owned(), message: error.to_string() }
    }
}

/// What is verified, and by what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Exports, proofs of transactions, statements as FORMAT_PROOF gives them, reports of accesses,
    /// and erasures
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file with the verifier key of the log (C2SP signed-note)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with signed checkpoints that were kept elsewhere, such as those that the service
    /// publishes: what the files say has to be what was signed then
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Verifies the files, and prints what was checked of each.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let trust = Trust::read(&arguments.key, arguments.checkpoint.as_deref())?;
    let mut out = anstream::stdout().lock();
    let mut wrong = 0;
    for path in &arguments.files {
        let file = File::open(path).map_err(VerifyError::file(path))?;
        let report = verify(BufReader::new(file), &trust).map_err(VerifyError::file(path))?;
        report.print(&path.display(), &mut out).map_err(Error::file("standard output".as_ref()))?;
        wrong += usize::from(!report.holds());
    }
    match wrong {
        0 => Ok(()),
        count => Err(VerifyError::Wrong { count, of: arguments.files.len() }.into()),
    }
}

/// Verifies a file, whatever it is. An error only where it cannot be read.
pub fn verify(file: impl BufRead, trust: &Trust) -> io::Result<Report> {
    #[derive(Deserialize)]
    struct Kind {
        strongroom: String,
    }
    let mut report = Report::default();
    let mut lines = Lines::new(file);
    let first = lines.next(&mut report)?.unwrap_or_default();
    let kind = serde_json::from_str(&first).map(|kind: Kind| kind.strongroom);
    match kind.as_deref() {
        Ok(EXPORT) => export::verify(&first, lines, trust, &mut report)?,
        Ok(PROOF) => {
            proof::verify(&first, trust, &mut report);
            nothing_more(lines, &mut report)?;
        }
        Ok(ERASURE) => {
            erasure::verify(&first, trust, &mut report);
            nothing_more(lines, &mut report)?;
        }
        Ok(STATEMENT) => statement::verify(&first, lines, trust, &mut report)?,
        Ok(ACCESS) => accesses::verify(&first, lines, trust, &mut report)?,
        Ok(other) => {
            let known = [EXPORT, PROOF, STATEMENT, ACCESS, ERASURE].join(", ");
            report.find(1, "the format", format!("one of {known}"), other);
        }
        Err(error) => report.find(1, "the first line", "what the file is", error),
    }
    report.findings.sort_by_key(|finding| finding.line);
    Ok(report)
}

/// Behind the last line there is nothing.
fn nothing_more(mut lines: Lines<impl BufRead>, report: &mut Report) -> io::Result<()> {
    if let Some(text) = lines.next(report)? {
        report.find(lines.number, "the end of the file", "nothing more", report::short(&text));
    }
    Ok(())
}
