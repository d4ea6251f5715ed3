//! Rows of NDJSON: an object on each line.

use std::io::{BufRead as _, BufReader};

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::source::Metered;

/// The lines of a file.
pub(super) struct Lines {
    reader: BufReader<Metered>,
    buffer: Vec<u8>,
    line: u64,
    is_broken: bool,
}

impl Lines {
    pub(super) fn new(file: Metered) -> Self {
        Self { reader: BufReader::new(file), buffer: Vec::new(), line: 0, is_broken: false }
    }

    /// The next object and its line. Empty lines are passed over.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Option<Result<(u64, T), Fault>> {
        while !self.is_broken {
            self.buffer.clear();
            self.line += 1;
            match self.reader.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => self.reader.get_mut().row_ended(),
                Err(error) => {
                    self.is_broken = true;
                    return Some(Err(Fault::new(self.line, "", error.to_string())));
                }
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Some(self.parse());
            }
        }
        None
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<(u64, T), Fault> {
        serde_json::from_slice(&self.buffer).map(|row| (self.line, row)).map_err(|error| {
            // It counts lines within what it was given, which is one.
            let whole = error.to_string();
            let sentence = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(text, _)| text);
            Fault::new(self.line, &format!("column {}:", error.column()), sentence)
        })
    }

    pub(super) fn file(&self) -> &Metered {
        self.reader.get_ref()
    }
}
