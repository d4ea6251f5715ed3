//! What is wrong with a file, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use shared::problem::Problem;

/// Faults that are collected before the rest of the files is left unread.
const SHOWN: usize = 20;

/// What is wrong in one place of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, from 1.
    pub(super) line: u64,
    /// The column of a CSV file, or the path of a field; empty where it is about all of the line.
    pub(super) field: String,
    /// What it must be.
    pub(super) sentence: String,
}

impl Fault {
    pub(super) fn new(line: u64, field: &str, sentence: impl Into<String>) -> Self {
        Self { line, field: field.to_owned(), sentence: sentence.into() }
    }

    /// What a rule of the house says of a field.
    pub(super) fn of(line: u64, problem: Problem) -> Self {
        Self { line, field: problem.field.unwrap_or_default(), sentence: problem.message }
    }
}

/// The faults of all files.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(PathBuf, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, path: &Path, fault: Fault) {
        self.0.push((path.to_owned(), fault));
    }

    /// Whether more would help nobody.
    pub(super) fn are_enough(&self) -> bool {
        self.0.len() >= SHOWN
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, Fault { line, field, sentence }) in &self.0 {
            write!(f, "\n  {}:{line}: ", path.display())?;
            if !field.is_empty() {
                write!(f, "{field} ")?;
            }
            f.write_str(sentence)?;
        }
        if self.are_enough() {
            f.write_str("\n  what comes behind was not read")?;
        }
        Ok(())
    }
}
