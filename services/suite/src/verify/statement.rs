//! Verifies a statement as FORMAT_PROOF gives it: its hash, its arithmetic, its texts against what
//! was committed to, and the way from its leaf to a signed checkpoint.

use std::io::{self, BufRead};

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};
use shared::commitment::Commitment;
use shared::transparency::leaf_hash;

use super::books::{major, units};
use super::lines::{Lines, Next, parse};
use super::proof::Way;
use super::report::{Report, short};
use super::seal::Trust;
use crate::export::{hex, unhex};

/// What such a file is called.
pub(super) const STATEMENT: &str = "statement/1";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    strongroom: String,
    statement: Statement,
    hash: String,
    /// These are there once a signed checkpoint covers the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf: Option<Leaf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
}

/// The leaf of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    index: u64,
    data: String,
}

/// The head of a statement, as it is hashed; with the hash it is the leaf of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the format")]
struct Statement {
    v: u8,
    kind: String,
    tenant: String,
    statement: String,
    account: String,
    start_date: String,
    end_date: String,
    version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supersedes: Option<String>,
    currency: String,
    normal_side: String,
    opening: String,
    debits: String,
    credits: String,
    closing: String,
    line_count: i64,
    entry_seq: i64,
    r#final: bool,
    create_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// A line behind the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOf {
    line: Line,
    texts: Texts,
    /// SHA-256 of the line, so that a change is found where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// A line of a statement, as it is hashed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the format")]
struct Line {
    line: i64,
    transaction: String,
    r#type: String,
    entry_index: i32,
    direction: String,
    amount: String,
    posted: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    available: Option<String>,
    entry_seq: i64,
    version: i64,
    effective_time: String,
    record_time: String,
    booking_date: String,
    balance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// The texts that are not redacted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<Opened>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Opened>,
}

/// A text, and the salt of the commitment to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    text: String,
    salt: String,
}

/// What the lines add up to, in minor units.
#[derive(Default)]
struct Sums {
    balance: i128,
    debits: i128,
    credits: i128,
    lines: i64,
    texts: u64,
}

/// Verifies a statement whose first line was read.
pub(super) fn verify(
    first: &str,
    mut lines: Lines<impl BufRead>,
    trust: &Trust,
    report: &mut Report,
) -> io::Result<()> {
    let Some(header) = parse::<Header>(first, 1, report) else { return Ok(()) };
    let head = &header.statement;
    let mut hash = Context::new(&SHA256);
    update(&mut hash, head);
    let before = report.count;
    let mut sums = Sums { balance: amount(&head.opening, "opening", 1, report), ..Sums::default() };
    // Findings about texts, and about the lines as they are spelled.
    let (mut of_texts, mut of_spelling) = (0, 0);
    loop {
        let since = report.count;
        let LineOf { line, texts, hash: own } = match lines.read(report)? {
            Next::Line(line) => line,
            Next::Bad => continue,
            Next::End => break,
        };
        let spelled = update(&mut hash, &line);
        let found = hex(digest(&SHA256, spelled.as_bytes()).as_ref());
        if let Some(own) = own.filter(|own| *own != found) {
            let what = format!("the hash of line {} of the statement", line.line);
            report.find(lines.number, what, found, own);
        }
        of_spelling += report.count - since;
        sums.add(head, &line, lines.number, report);
        let since = report.count;
        sums.texts += open_texts(&line, &texts, lines.number, report);
        of_texts += report.count - since;
    }
    sums.judge(head, report);
    let of = format!("{} lines to {}", sums.lines, head.closing);
    report.check("arithmetic", of, before + of_texts + of_spelling);
    let of = format!("{} open their commitments", sums.texts);
    report.check("texts", of, report.count - of_texts);
    let before = report.count - of_spelling;
    let hash = hex(hash.finish().as_ref());
    if hash != header.hash {
        report.find(1, "the hash of the statement", &hash, &header.hash);
    }
    report.check("hash", hash, before);
    in_log(&header, trust, report);
    Ok(())
}

/// Judges whether the statement is in the log of a signed checkpoint.
fn in_log(header: &Header, trust: &Trust, report: &mut Report) {
    let Header { leaf, tree_size, hashes, checkpoint, .. } = header;
    let (Some(leaf), Some(tree_size), Some(hashes), Some(checkpoint)) =
        (leaf, *tree_size, hashes, checkpoint)
    else {
        let expected = "leaf, tree_size, hashes and checkpoint";
        let found = "not all of them: no checkpoint covered the statement yet";
        report.find(1, "the way to a signed checkpoint", expected, found);
        return report.check("leaf", "not in a signed log", report.count - 1);
    };
    let before = report.count;
    let expected = Statement { hash: Some(header.hash.clone()), ..header.statement.clone() };
    let expected = serde_json::to_string(&expected).unwrap_or_default();
    if expected != leaf.data {
        let same = expected.bytes().zip(leaf.data.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| short(text.get(same..).unwrap_or_default());
        let what = format!("the leaf of the statement at byte {}", same + 1);
        report.find(1, what, around(&expected), around(&leaf.data));
    }
    report.check("leaf", format!("leaf {}, {}", leaf.index, hex(&leaf_hash(&leaf.data))), before);
    Way { index: leaf.index, tree_size, hashes, checkpoint }.verify(&leaf.data, trust, report);
}

/// What is hashed is each line with a line feed behind it. It was seen to be spelled like this.
fn update(hash: &mut Context, line: &impl Serialize) -> String {
    let spelled = serde_json::to_string(line).unwrap_or_default();
    hash.update(spelled.as_bytes());
    hash.update(b"\n");
    spelled
}

fn amount(text: &str, what: &str, line: u64, report: &mut Report) -> i128 {
    units(text).unwrap_or_else(|| {
        report.find(line, what, "an amount", short(text));
        0
    })
}

impl Sums {
    fn add(&mut self, head: &Statement, line: &Line, number: u64, report: &mut Report) {
        self.lines += 1;
        if line.line != self.lines {
            report.find(number, "the number of the line", self.lines, line.line);
        }
        let units = amount(&line.amount, "the amount", number, report);
        match line.direction.as_str() {
            "DEBIT" => self.debits = self.debits.saturating_add(units),
            "CREDIT" => self.credits = self.credits.saturating_add(units),
            other => report.find(number, "the direction", "DEBIT or CREDIT", short(other)),
        }
        let change = if line.direction == head.normal_side { units } else { -units };
        let expected = self.balance.saturating_add(change);
        self.balance = amount(&line.balance, "the balance", number, report);
        if self.balance != expected {
            let what = format!("the balance after line {}", line.line);
            report.find(number, what, major(expected, &line.balance), &line.balance);
        }
        let days = head.start_date.as_str()..=head.end_date.as_str();
        if !days.contains(&line.booking_date.as_str()) {
            let expected = format!("{} to {}", head.start_date, head.end_date);
            report.find(number, "the booking date", expected, short(&line.booking_date));
        }
    }

    /// Whether the head says what the lines add up to.
    fn judge(&self, head: &Statement, report: &mut Report) {
        for (what, said, expected) in [
            ("the debits", &head.debits, self.debits),
            ("the credits", &head.credits, self.credits),
            ("the closing balance", &head.closing, self.balance),
        ] {
            if amount(said, what, 1, report) != expected {
                report.find(1, what, major(expected, said), short(said));
            }
        }
        if head.line_count != self.lines {
            report.find(1, "the number of lines", self.lines, head.line_count);
        }
    }
}

/// Judges the texts of a line, and gives how many there are.
fn open_texts(line: &Line, texts: &Texts, number: u64, report: &mut Report) -> u64 {
    let memo = format!("texts/{}", line.entry_index);
    let all = [
        ("memo", &memo[..], &line.memo, &texts.memo),
        // The place of the description among the texts of a transaction.
        ("description", "texts/-1", &line.description, &texts.description),
    ];
    let mut count = 0;
    for (what, name, committed, opened) in all {
        let Some(Opened { text, salt }) = opened else { continue };
        count += 1;
        let committed = committed.as_deref().unwrap_or_default();
        let commitment =
            unhex(salt).zip(unhex(committed)).map(|(salt, value)| Commitment { salt, value });
        if !commitment.is_some_and(|commitment| commitment.opens(name, text)) {
            let expected = format!("the text that was committed to as {}", short(committed));
            report.find(number, format!("the {what}"), expected, format!("{:?}", short(text)));
        }
    }
    count
}
