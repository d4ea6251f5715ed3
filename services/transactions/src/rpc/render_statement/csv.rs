//! A statement as comma-separated values (RFC 4180).

use ::csv::{Terminator, Writer, WriterBuilder};
use shared::money::Units;
use shared::problem::Problem;

use super::fault;
use crate::domain::{Statement, StatementLine, Written};

const COLUMNS: [&str; 14] = [
    "line",
    "booking_date",
    "effective_time",
    "record_time",
    "transaction",
    "entry_index",
    "entry_seq",
    "type",
    "description",
    "memo",
    "direction",
    "amount",
    "currency",
    "balance",
];

pub(super) fn head() -> Result<String, Problem> {
    write(|writer| writer.write_record(COLUMNS))
}

pub(super) fn lines(statement: &Statement, lines: &[StatementLine]) -> Result<String, Problem> {
    let currency = statement.head.currency;
    let money = |units: Units| units.major(currency);
    let record = |line: &StatementLine| {
        [
            line.line.to_string(),
            line.booking_date.to_string(),
            line.effective_time.to_string(),
            line.record_time.to_string(),
            line.transaction.name(),
            line.entry_index.to_string(),
            line.entry_seq.to_string(),
            line.kind.clone(),
            text(line.description.as_ref()),
            text(line.memo.as_ref()),
            line.direction.name().to_owned(),
            money(line.amount),
            currency.code().to_owned(),
            money(line.balance),
        ]
    };
    write(|writer| lines.iter().try_for_each(|line| writer.write_record(record(line))))
}

fn write(rows: impl FnOnce(&mut Writer<Vec<u8>>) -> ::csv::Result<()>) -> Result<String, Problem> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    rows(&mut writer).map_err(|error| fault(&error))?;
    let bytes = writer.into_inner().map_err(|error| fault(&error))?;
    String::from_utf8(bytes).map_err(|error| fault(&error))
}

/// A text by people. A spreadsheet must not take it for a formula.
fn text(written: Option<&Written>) -> String {
    let text = written.map(|one| one.text.as_str()).unwrap_or_default();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}
