//! Rows as the files have them. What their fields mean is decided by the rules.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An account.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccountRow {
    /// The line, from 1.
    #[serde(skip)]
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) currency: String,
    pub(super) class: String,
    pub(super) gl_code: String,
    pub(super) overdraft: String,
    pub(super) customer: String,
    pub(super) parent: String,
    pub(super) opening_balance: String,
    pub(super) opening_date: String,
}

/// A transaction with its entries.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TransactionRow {
    /// The line on which it begins, from 1.
    #[serde(skip)]
    pub(super) line: u64,
    /// Whether each entry has a line of its own.
    #[serde(skip)]
    pub(super) is_table: bool,
    pub(super) id: String,
    pub(super) r#type: String,
    pub(super) booking_date: String,
    pub(super) effective_time: String,
    pub(super) description: String,
    pub(super) group_id: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) external_ids: BTreeMap<String, String>,
    pub(super) entries: Vec<EntryRow>,
}

/// An entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EntryRow {
    /// The line, from 1; that of its transaction where it has none of its own.
    #[serde(skip)]
    pub(super) line: u64,
    pub(super) account: String,
    pub(super) direction: String,
    pub(super) amount: String,
    pub(super) currency: String,
    pub(super) memo: String,
}
