//! The files that are imported: read a row at a time, and hashed on the way.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::csv::{AccountTable, TransactionTable};
use super::error::ImportError;
use super::fault::Fault;
use super::ndjson::Lines;
use super::row::{AccountRow, TransactionRow};
use crate::export::hex;

/// Bytes of a row at most. A quote that is never closed must not read the file into memory.
pub(super) const ROW_MAX: usize = 4 * 1024 * 1024;

/// A file to import.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Csv,
    Ndjson,
}

impl Source {
    /// The format is that of the extension.
    pub(super) fn of(path: &Path) -> Result<Self, ImportError> {
        let extension = path.extension().map(OsStr::to_ascii_lowercase);
        let format = match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("csv") => Format::Csv,
            Some("ndjson" | "jsonl") => Format::Ndjson,
            _ => return Err(ImportError::Format(path.to_owned())),
        };
        Ok(Self { path: path.to_owned(), format })
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> Result<u64, ImportError> {
        let metadata = std::fs::metadata(&self.path).map_err(ImportError::file(&self.path))?;
        Ok(metadata.len())
    }

    fn open(&self) -> Result<Metered, ImportError> {
        let file = File::open(&self.path).map_err(ImportError::file(&self.path))?;
        Ok(Metered { file, digest: Context::new(&SHA256), read: 0, row: 0 })
    }

    /// Its accounts.
    pub(super) fn accounts(&self) -> Result<AccountRows, ImportError> {
        let file = self.open()?;
        Ok(match self.format {
            Format::Csv => Rows::Table(AccountTable::new(file)),
            Format::Ndjson => Rows::Lines(Lines::new(file)),
        })
    }

    /// Its transactions.
    pub(super) fn transactions(&self) -> Result<TransactionRows, ImportError> {
        let file = self.open()?;
        Ok(match self.format {
            Format::Csv => Rows::Table(TransactionTable::new(file)),
            Format::Ndjson => Rows::Lines(Lines::new(file)),
        })
    }
}

/// The rows of a file, whatever its format.
pub(super) enum Rows<T> {
    Table(T),
    Lines(Lines),
}

pub(super) type AccountRows = Rows<AccountTable>;
pub(super) type TransactionRows = Rows<TransactionTable>;

impl AccountRows {
    /// The next account, or what is wrong with its row. What is behind a bad row can be read.
    pub(super) fn next(&mut self) -> Option<Result<AccountRow, Fault>> {
        match self {
            Self::Table(table) => table.next(),
            Self::Lines(lines) => {
                let row = lines.next::<AccountRow>()?;
                Some(row.map(|(line, row)| AccountRow { line, ..row }))
            }
        }
    }

    pub(super) fn file(&self) -> &Metered {
        match self {
            Self::Table(table) => table.file(),
            Self::Lines(lines) => lines.file(),
        }
    }
}

impl TransactionRows {
    /// The next transaction, or what is wrong with its row.
    pub(super) fn next(&mut self) -> Option<Result<TransactionRow, Fault>> {
        match self {
            Self::Table(table) => table.next(),
            Self::Lines(lines) => Some(lines.next::<TransactionRow>()?.map(|(line, mut row)| {
                row.line = line;
                for entry in &mut row.entries {
                    entry.line = line;
                }
                row
            })),
        }
    }

    pub(super) fn file(&self) -> &Metered {
        match self {
            Self::Table(table) => table.file(),
            Self::Lines(lines) => lines.file(),
        }
    }
}

/// A file that knows what has been read of it.
pub(super) struct Metered {
    file: File,
    digest: Context,
    /// Bytes so far.
    pub(super) read: u64,
    /// Bytes since the row began, give or take a buffer.
    row: usize,
}

impl Metered {
    /// A row has ended.
    pub(super) fn row_ended(&mut self) {
        self.row = 0;
    }

    /// The hash of what has been read, in hexadecimal digits: of the whole file behind its last
    /// row.
    pub(super) fn sha256(&self) -> String {
        hex(self.digest.clone().finish().as_ref())
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row > ROW_MAX {
            let sentence = format!("a row has at most {ROW_MAX} bytes: is a quote left open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
        }
        let length = self.file.read(buffer)?;
        self.digest.update(&buffer[..length]);
        self.read += length as u64;
        self.row += length;
        Ok(length)
    }
}
