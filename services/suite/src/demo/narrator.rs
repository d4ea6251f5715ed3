//! Prints calls and answers so that people can follow them.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use strongroom_proto::common::v1::Money;

use crate::refusal::{Refusal, code_name};

const TITLE: Style = Style::new().bold();
const METHOD: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
/// Columns of what is told.
const WIDTH: usize = 94;

/// Why the story ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A call was refused that should not have been.
    #[error("{method} was refused: {message}")]
    Refused {
        /// The method.
        method: &'static str,
        /// Code, reason and message.
        message: String,
    },
    /// An answer is not the one of the story.
    #[error("{what} should be {expected:?}, and is {found:?}")]
    NotAsTold {
        /// What is compared.
        what: String,
        /// As the story has it.
        expected: String,
        /// As the services have it.
        found: String,
    },
    /// It cannot be printed.
    #[error("standard output: {0}")]
    Print(#[from] io::Error),
}

/// Compares what the services say with the story.
pub(super) fn check(
    what: &str,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Result<(), DemoError> {
    let (found, expected) = (found.into(), expected.into());
    match found == expected {
        true => Ok(()),
        false => Err(DemoError::NotAsTold { what: what.to_owned(), expected, found }),
    }
}

/// A name and its value, to be printed on one line.
pub(super) type Row<'a> = (&'a str, String);

/// Tells the story.
pub(super) struct Narrator<'a> {
    out: &'a mut dyn Write,
    chapter: u32,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, chapter: 0 }
    }

    /// The next chapter, and what it is about.
    pub(super) fn chapter(&mut self, title: &str, about: &str) -> io::Result<()> {
        self.chapter += 1;
        let number = self.chapter;
        writeln!(self.out, "{TITLE}{number}. {title}{TITLE:#}")?;
        // Sentences are longer than a terminal is wide.
        let mut column = 0;
        for word in about.split(' ') {
            if column + word.len() > WIDTH {
                writeln!(self.out)?;
                column = 0;
            }
            let space = if column == 0 { "   " } else { " " };
            write!(self.out, "{space}{word}")?;
            column += word.len() + 1;
        }
        writeln!(self.out, "\n")
    }

    /// A call as it is sent.
    pub(super) fn call(&mut self, method: &str, rows: &[Row<'_>]) -> io::Result<()> {
        writeln!(self.out, "   {METHOD}{method}{METHOD:#}")?;
        self.rows(rows)
    }

    /// The answer.
    pub(super) fn answer(&mut self, rows: &[Row<'_>]) -> io::Result<()> {
        writeln!(self.out, "   {GOOD}OK{GOOD:#}")?;
        self.rows(rows)?;
        writeln!(self.out)
    }

    /// A refusal with its figures.
    pub(super) fn refusal(&mut self, refusal: &Refusal) -> io::Result<()> {
        writeln!(self.out, "   {BAD}{} {}{BAD:#}", code_name(refusal.code), refusal.reason)?;
        let mut rows = vec![("message", refusal.message.clone())];
        rows.extend(refusal.figures.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.rows(&rows)?;
        writeln!(self.out)
    }

    /// The answer, where that is a document.
    pub(super) fn document(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "   {GOOD}OK{GOOD:#}")?;
        self.text(text)
    }

    /// A text of more than one line, as it is.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "     {line}")?;
        }
        writeln!(self.out)
    }

    fn rows(&mut self, rows: &[Row<'_>]) -> io::Result<()> {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in rows {
            writeln!(self.out, "     {DIM}{name:<width$}{DIM:#}  {value}")?;
        }
        Ok(())
    }
}

/// `250.00 EUR`.
pub(super) fn money(money: Option<&Money>) -> String {
    money.map(|money| format!("{} {}", money.amount, money.currency)).unwrap_or_default()
}
