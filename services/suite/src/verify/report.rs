//! What was checked, and what is wrong, for people.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

const TITLE: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Findings that are shown of one file.
const SHOWN: usize = 20;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the file, from 1.
    pub line: u64,
    /// What is wrong, such as "leaf 15".
    pub what: String,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// What was checked of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was checked, in words, and whether it holds.
    pub checks: Vec<Check>,
    /// What is wrong, in the order of the lines; the first of many.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub count: usize,
}

/// One of the things that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub what: &'static str,
    /// Of what.
    pub of: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Report {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.count == 0
    }

    /// Notes what is wrong.
    pub(super) fn find(
        &mut self,
        line: u64,
        what: impl Into<String>,
        expected: impl Display,
        found: impl Display,
    ) {
        self.count += 1;
        if self.findings.len() < SHOWN {
            let (expected, found) = (expected.to_string(), found.to_string());
            self.findings.push(Finding { line, what: what.into(), expected, found });
        }
    }

    /// Notes what was checked since there were so many findings.
    pub(super) fn check(&mut self, what: &'static str, of: impl Into<String>, before: usize) {
        let holds = self.count == before;
        self.checks.push(Check { what, of: of.into(), holds });
    }

    /// Prints it.
    pub(crate) fn print(&self, name: &dyn Display, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{TITLE}{name}{TITLE:#}")?;
        for Check { what, of, holds } in &self.checks {
            match holds {
                true => writeln!(out, "  {GOOD}holds{GOOD:#}  {what:<12}  {DIM}{of}{DIM:#}")?,
                false => writeln!(out, "  {BAD}WRONG{BAD:#}  {what:<12}  {DIM}{of}{DIM:#}")?,
            }
        }
        for Finding { line, what, expected, found } in &self.findings {
            writeln!(out, "  {BAD}line {line}: {what}{BAD:#}")?;
            writeln!(out, "    expected  {expected}")?;
            writeln!(out, "    found     {found}")?;
        }
        if self.count > self.findings.len() {
            writeln!(out, "  and {} more", self.count - self.findings.len())?;
        }
        Ok(())
    }
}

/// The beginning of a text, for people.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 120;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
