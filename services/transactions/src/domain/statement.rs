//! Statements: what was booked on an account on some days, and the hash that says so for ever.
//!
//! The hash is SHA-256 over lines of JSON, each with a line feed behind it: the head of the
//! statement, and then each of its lines. Texts are in them as commitments only, so that the hash
//! stays valid once they are redacted. As in the leaves of the log, the order of the fields is part
//! of the format.

use aws_lc_rs::digest;
use serde::Serialize;
use shared::commitment::Commitment;
use shared::field::{Decoded, invalid};
use shared::hex::hex;
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::problem::Problem;
use shared::time::{Day, Timestamp};

use super::{AccountId, Direction, StatementId, TransactionId};

/// The most lines that a statement has.
pub(crate) const LINES_MAX: i64 = 100_000;
/// How many days after the first one the last one may be.
pub(crate) const DAYS_MAX: i32 = 366;
/// The kind of the change that makes one, and what its leaf is called.
pub(crate) const STATED: &str = "statement.created";

const VERSION: u8 = 1;

/// The name of a statement: `accounts/{uuid}/statements/{uuid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatementName {
    pub(crate) account: AccountId,
    pub(crate) id: StatementId,
}

impl StatementName {
    pub(crate) fn parse(name: &str) -> Decoded<Self> {
        let read = |place: usize| {
            let account = AccountId::parse_name(&name[..place]).ok()?;
            let id = StatementId::parse_name(&name[place + 1..]).ok()?;
            Some(Self { account, id })
        };
        let found = name.find("/statements/").and_then(read);
        found.ok_or_else(|| invalid("must be accounts/{uuid}/statements/{uuid}"))
    }

    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.account, self.id)
    }

    /// `RESOURCE_NOT_FOUND` for it.
    pub(crate) fn not_found(self) -> Problem {
        Problem::not_found("statement", self.name())
    }
}

/// A statement before it has its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewStatement {
    pub(crate) name: StatementName,
    pub(crate) start: Day,
    pub(crate) end: Day,
    /// From 1, for the statements of the same days.
    pub(crate) version: i32,
    pub(crate) supersedes: Option<StatementId>,
    pub(crate) currency: Currency,
    /// The side on which the account grows, and on which its balances are positive.
    pub(crate) normal_side: Direction,
    pub(crate) opening: Units,
    pub(crate) debits: Units,
    pub(crate) credits: Units,
    pub(crate) closing: Units,
    pub(crate) line_count: i64,
    /// The last entry that could be in it.
    pub(crate) entry_seq: i64,
    /// Whether all of its days were closed for good.
    pub(crate) is_final: bool,
    pub(crate) create_time: Timestamp,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) head: NewStatement,
    /// SHA-256, 32 bytes.
    pub(crate) hash: Vec<u8>,
}

/// A text by people, as a line of a statement has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Empty where it is redacted.
    pub(crate) text: String,
    /// The oldest texts have none.
    pub(crate) commitment: Option<Commitment>,
}

/// An entry as a statement has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatementLine {
    /// From 1.
    pub(crate) line: i64,
    pub(crate) transaction: TransactionId,
    pub(crate) kind: String,
    pub(crate) entry_index: i32,
    pub(crate) direction: Direction,
    pub(crate) amount: Units,
    pub(crate) posted_after: Units,
    pub(crate) available_after: Option<Units>,
    pub(crate) entry_seq: i64,
    pub(crate) version_after: i64,
    pub(crate) effective_time: Timestamp,
    pub(crate) record_time: Timestamp,
    pub(crate) booking_date: Day,
    /// After this line, on the normal side.
    pub(crate) balance: Units,
    pub(crate) memo: Option<Written>,
    pub(crate) description: Option<Written>,
}

#[derive(Serialize)]
struct Head<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    statement: String,
    account: String,
    start_date: String,
    end_date: String,
    version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<String>,
    currency: &'a str,
    normal_side: &'a str,
    opening: String,
    debits: String,
    credits: String,
    closing: String,
    line_count: i64,
    entry_seq: i64,
    r#final: bool,
    create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

#[derive(Serialize)]
struct Stated<'a> {
    line: i64,
    transaction: String,
    r#type: &'a str,
    entry_index: i32,
    direction: &'a str,
    amount: String,
    posted: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<String>,
    entry_seq: i64,
    version: i64,
    effective_time: String,
    record_time: String,
    booking_date: String,
    balance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl NewStatement {
    /// What an entry adds to the balance.
    fn signed(&self, direction: Direction, amount: Units) -> Option<Units> {
        if direction == self.normal_side { Some(amount) } else { Units::ZERO.checked_sub(amount) }
    }

    /// The first line of what is hashed: the leaf of the log without the hash.
    pub(crate) fn line(&self, tenant: TenantId) -> String {
        self.json(tenant, None)
    }

    fn json(&self, tenant: TenantId, hash: Option<String>) -> String {
        let money = |units: Units| units.major(self.currency);
        let supersedes = self.supersedes.map(|id| StatementName { id, ..self.name }.name());
        json(&Head {
            v: VERSION,
            kind: STATED,
            tenant: tenant.name(),
            statement: self.name.name(),
            account: self.name.account.name(),
            start_date: self.start.to_string(),
            end_date: self.end.to_string(),
            version: self.version,
            supersedes,
            currency: self.currency.code(),
            normal_side: self.normal_side.name(),
            opening: money(self.opening),
            debits: money(self.debits),
            credits: money(self.credits),
            closing: money(self.closing),
            line_count: self.line_count,
            entry_seq: self.entry_seq,
            r#final: self.is_final,
            create_time: self.create_time.to_string(),
            hash,
        })
    }
}

impl Statement {
    /// The leaf of the log.
    pub(crate) fn leaf(&self, tenant: TenantId) -> String {
        self.head.json(tenant, Some(hex(&self.hash)))
    }
}

impl StatementLine {
    /// The line of what is hashed.
    pub(crate) fn line(&self, currency: Currency) -> String {
        let money = |units: Units| units.major(currency);
        let committed = |written: &Option<Written>| {
            written.as_ref().and_then(|one| one.commitment.as_ref()).map(Commitment::hex)
        };
        json(&Stated {
            line: self.line,
            transaction: self.transaction.name(),
            r#type: &self.kind,
            entry_index: self.entry_index,
            direction: self.direction.name(),
            amount: money(self.amount),
            posted: money(self.posted_after),
            available: self.available_after.map(money),
            entry_seq: self.entry_seq,
            version: self.version_after,
            effective_time: self.effective_time.to_string(),
            record_time: self.record_time.to_string(),
            booking_date: self.booking_date.to_string(),
            balance: money(self.balance),
            memo: committed(&self.memo),
            description: committed(&self.description),
        })
    }
}

/// Adds up the lines of a statement, and hashes them.
pub(crate) struct Tally<'a> {
    head: &'a NewStatement,
    hash: digest::Context,
    balance: Units,
    debits: Units,
    credits: Units,
    count: i64,
}

impl<'a> Tally<'a> {
    pub(crate) fn begin(head: &'a NewStatement, tenant: TenantId) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        update(&mut hash, &head.line(tenant));
        let balance = head.opening;
        Self { head, hash, balance, debits: Units::ZERO, credits: Units::ZERO, count: 0 }
    }

    /// Adds the next line; `None` where it does not follow from the one before.
    pub(crate) fn add(&mut self, line: &StatementLine) -> Option<()> {
        update(&mut self.hash, &line.line(self.head.currency));
        let change = self.head.signed(line.direction, line.amount)?;
        let side = match line.direction {
            Direction::Debit => &mut self.debits,
            Direction::Credit => &mut self.credits,
        };
        *side = side.checked_add(line.amount)?;
        self.balance = self.balance.checked_add(change)?;
        self.count += 1;
        (self.balance == line.balance && self.count == line.line).then_some(())
    }

    /// The statement, where its lines add up to what its head says.
    pub(crate) fn end(self) -> Option<Vec<u8>> {
        let sums = (self.debits, self.credits, self.balance, self.count);
        let head = self.head;
        let is_right = sums == (head.debits, head.credits, head.closing, head.line_count);
        is_right.then(|| self.hash.finish().as_ref().to_vec())
    }
}

fn update(hash: &mut digest::Context, line: &str) {
    hash.update(line.as_bytes());
    hash.update(b"\n");
}

/// Plain data with string keys, which always serialises.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// SHA-256 of a line by itself, in hexadecimal digits.
pub(crate) fn line_hash(line: &str) -> String {
    hex(digest::digest(&digest::SHA256, line.as_bytes()).as_ref())
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
