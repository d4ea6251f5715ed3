//! The lines of a file that is verified. Each has one spelling, so that no byte of it can change
//! without being seen.

use std::io::{self, BufRead};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::report::{Report, short};

/// Bytes of a line at most.
const LINE_MAX: u64 = 16 * 1024 * 1024;

/// A line as a value.
pub(super) enum Next<T> {
    /// The line.
    Line(T),
    /// There is one, and it is none such.
    Bad,
    /// There is none any more.
    End,
}

/// The lines of a file.
pub(super) struct Lines<R> {
    reader: R,
    /// The line that was read last, from 1.
    pub(super) number: u64,
    text: String,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, text: String::new() }
    }

    /// Goes to the next line; false behind the last. A line that does not end with a line feed, or
    /// is no text, is a finding, and read as far as it goes.
    pub(super) fn advance(&mut self, report: &mut Report) -> io::Result<bool> {
        let mut buffer = std::mem::take(&mut self.text).into_bytes();
        buffer.clear();
        let mut limited = io::Read::take(&mut self.reader, LINE_MAX);
        if limited.read_until(b'\n', &mut buffer)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if buffer.pop_if(|byte| *byte == b'\n').is_none() {
            report.find(self.number, "the end of the line", "a line feed", "none");
        }
        self.text = String::from_utf8(buffer).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            report.find(self.number, "the line", "UTF-8", short(&text));
            text
        });
        Ok(true)
    }

    /// The line that was read last, without its end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The next line without its end; none behind the last.
    pub(super) fn next(&mut self, report: &mut Report) -> io::Result<Option<String>> {
        Ok(self.advance(report)?.then(|| self.text.clone()))
    }

    /// The next line as a value. Another spelling of the same value is a finding too.
    pub(super) fn read<T: DeserializeOwned + Serialize>(
        &mut self,
        report: &mut Report,
    ) -> io::Result<Next<T>> {
        let more = self.advance(report)?;
        Ok(if more { self.value(report) } else { Next::End })
    }

    /// The line that was read last as a value.
    pub(super) fn value<T: DeserializeOwned + Serialize>(&self, report: &mut Report) -> Next<T> {
        parse(&self.text, self.number, report).map_or(Next::Bad, Next::Line)
    }
}

/// A value of a line.
pub(super) fn parse<T: DeserializeOwned + Serialize>(
    text: &str,
    line: u64,
    report: &mut Report,
) -> Option<T> {
    let value: T = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let what = format!("the line at column {}", error.column());
            report.find(line, what, "such a line as was written", error);
            return None;
        }
    };
    let spelled = serde_json::to_string(&value).unwrap_or_default();
    if spelled != text {
        let column = spelled.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| short(text.get(column..).unwrap_or_default());
        report.find(
            line,
            format!("the spelling at column {}", column + 1),
            around(&spelled),
            around(text),
        );
    }
    Some(value)
}
