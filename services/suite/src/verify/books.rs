//! The books, recomputed from the leaves of the log alone: every transaction sums to zero, the
//! entries of an account have places without gaps, and its balances follow each other.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::report::{Report, short};

/// The kind of the leaves that are postings.
const POSTED: &str = "transaction.posted";

/// The books so far.
#[derive(Debug, Default)]
pub(super) struct Books {
    accounts: HashMap<String, Account>,
    transactions: u64,
    entries: u64,
}

#[derive(Debug)]
struct Account {
    currency: String,
    places: i64,
    /// In minor units, on the normal side.
    posted: i128,
    /// Whether debits better it; not known before its first entry.
    debits_better: bool,
}

/// Of a leaf only what the books are made of.
#[derive(Debug, Deserialize)]
struct Leaf {
    kind: String,
    #[serde(default)]
    transaction: String,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the leaf")]
struct Entry {
    account: String,
    direction: String,
    amount: String,
    currency: String,
    posted: String,
    entry_seq: i64,
}

impl Books {
    /// Takes the next leaf.
    pub(super) fn take(&mut self, data: &str, line: u64, report: &mut Report) {
        let leaf: Leaf = match serde_json::from_str(data) {
            Ok(leaf) => leaf,
            Err(error) => return report.find(line, "the data of the leaf", "an event", error),
        };
        if leaf.kind != POSTED {
            return;
        }
        self.transactions += 1;
        self.entries += leaf.entries.len() as u64;
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for (index, entry) in leaf.entries.iter().enumerate() {
            let what = || format!("entry {index} of {}", leaf.transaction);
            let (Some(amount), Some(posted)) = (units(&entry.amount), units(&entry.posted)) else {
                let found = format!("{:?}, {:?}", short(&entry.amount), short(&entry.posted));
                report.find(line, what(), "amounts", found);
                continue;
            };
            let signed = match entry.direction.as_str() {
                "DEBIT" => amount,
                "CREDIT" => -amount,
                other => {
                    report.find(line, what(), "DEBIT or CREDIT", short(other));
                    continue;
                }
            };
            let sum = sums.entry(&entry.currency).or_default();
            *sum = sum.saturating_add(signed);
            self.entry(entry, signed, posted, line, &what, report);
        }
        for (currency, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
            let what = format!("the sum of {} in {currency}", leaf.transaction);
            report.find(line, what, "0 minor units", sum);
        }
    }

    fn entry(
        &mut self,
        entry: &Entry,
        signed: i128,
        posted: i128,
        line: u64,
        what: &dyn Fn() -> String,
        report: &mut Report,
    ) {
        let account = self.accounts.entry(entry.account.clone()).or_insert_with(|| Account {
            currency: entry.currency.clone(),
            places: 0,
            posted: 0,
            // The first entry tells on which side an account grows.
            debits_better: signed == posted,
        });
        let place = account.places + 1;
        if entry.entry_seq != place {
            let what = format!("the place of {} in {}", what(), entry.account);
            report.find(line, what, place, entry.entry_seq);
        }
        if entry.currency != account.currency {
            let what = format!("the currency of {}", what());
            report.find(line, what, &account.currency, &entry.currency);
        }
        let change = if account.debits_better { signed } else { -signed };
        let expected = account.posted.saturating_add(change);
        if posted != expected {
            let what = format!("the balance of {} after {}", entry.account, what());
            report.find(line, what, major(expected, &entry.posted), &entry.posted);
        }
        // One fault is named once.
        (account.places, account.posted) = (entry.entry_seq, posted);
    }

    /// What it all was, in words.
    pub(super) fn sum_up(&self) -> String {
        let (transactions, entries) = (self.transactions, self.entries);
        let accounts = self.accounts.len();
        format!("{transactions} transactions, {entries} entries, {accounts} accounts")
    }
}

/// An amount with as many decimals as another one of its currency.
pub(super) fn major(units: i128, like: &str) -> String {
    let decimals = like.split_once('.').map_or(0, |(_, part)| part.len());
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = decimals + 1);
    match digits.split_at(digits.len() - decimals) {
        (whole, "") => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{whole}.{part}"),
    }
}

/// Minor units of an amount: all amounts of a currency have the same decimals.
pub(super) fn units(amount: &str) -> Option<i128> {
    let digits: String = amount.chars().filter(|c| *c != '.').collect();
    let unsigned = amount.strip_prefix('-').unwrap_or(amount);
    let is_decimal = unsigned.split('.').count() <= 2
        && unsigned.split('.').all(|part| !part.is_empty())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.parse().ok().filter(|_| is_decimal)
}
