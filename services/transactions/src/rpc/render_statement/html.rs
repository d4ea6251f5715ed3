//! A statement as a page for people, which needs nothing else: no script, no picture, no font.

use askama::Template;
use shared::hex::hex;
use shared::money::Units;
use shared::problem::Problem;
use shared::time::Day;

use super::{Document, fault};
use crate::domain::{Direction, NewStatement, StatementLine, TransactionId, Written};

#[derive(Template)]
#[template(path = "statement.html", block = "head")]
struct Top<'a> {
    head: &'a NewStatement,
    opening: String,
    closing: String,
    made: Day,
}

#[derive(Template)]
#[template(path = "statement.html", block = "lines")]
struct Lines<'a> {
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    booked: Day,
    value: Day,
    text: &'a str,
    kind: &'a str,
    transaction: TransactionId,
    debit: String,
    credit: String,
    balance: String,
}

#[derive(Template)]
#[template(path = "statement.html", block = "tail")]
struct Bottom<'a> {
    head: &'a NewStatement,
    debits: String,
    credits: String,
    closing: String,
    hash: String,
}

impl Document {
    fn money(&self, units: Units) -> String {
        units.major(self.statement.head.currency)
    }
}

pub(super) fn head(document: &Document) -> Result<String, Problem> {
    let head = &document.statement.head;
    let (opening, closing) = (document.money(head.opening), document.money(head.closing));
    let made = head.create_time.day_in(&document.zone);
    draw(&Top { head, opening, closing, made })
}

pub(super) fn lines(document: &Document, lines: &[StatementLine]) -> Result<String, Problem> {
    let lines = lines.iter().map(|line| self::line(document, line)).collect();
    draw(&Lines { lines })
}

fn line<'a>(document: &Document, line: &'a StatementLine) -> Line<'a> {
    let on = |side: Direction| match line.direction == side {
        true => document.money(line.amount),
        false => String::new(),
    };
    let written = |one: &'a Option<Written>| one.as_ref().map_or("", |one| one.text.as_str());
    // The memo is for the holder; the description is what all parties read.
    let text = match written(&line.memo) {
        "" => written(&line.description),
        memo => memo,
    };
    Line {
        booked: line.booking_date,
        value: line.effective_time.day_in(&document.zone),
        text,
        kind: &line.kind,
        transaction: line.transaction,
        debit: on(Direction::Debit),
        credit: on(Direction::Credit),
        balance: document.money(line.balance),
    }
}

pub(super) fn tail(document: &Document) -> Result<String, Problem> {
    let head = &document.statement.head;
    draw(&Bottom {
        head,
        debits: document.money(head.debits),
        credits: document.money(head.credits),
        closing: document.money(head.closing),
        hash: hex(&document.statement.hash),
    })
}

fn draw(template: &impl Template) -> Result<String, Problem> {
    let mut text = template.render().map_err(|error| fault(&error))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
