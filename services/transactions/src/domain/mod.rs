//! The rules of double entry: pure types and decisions, without a wire or a table.

mod account;
mod controls;
mod posting;
mod transaction;

use shared::ids::{Id, Resource};

pub(crate) use account::{AccountClass, Direction, LedgerAccount, NewAccount, Overdraft};
pub(crate) use controls::{BLOCKS_MAX, Block, Controls, Effect, SOURCES_MAX, merge};
pub(crate) use posting::{PostedEntry, Refusal, decide};
pub(crate) use transaction::{ENTRIES_MAX, NewEntry, NewTransaction, check_balance};

/// The kind of an account.
#[derive(Debug)]
pub(crate) enum Account {}

impl Resource for Account {
    const COLLECTION: &'static str = "accounts";
    const TYPE: &'static str = "account";
}

/// The id of an account, which the accounts service knows it by too.
pub(crate) type AccountId = Id<Account>;

/// The kind of a transaction.
#[derive(Debug)]
pub(crate) enum Transaction {}

impl Resource for Transaction {
    const COLLECTION: &'static str = "transactions";
    const TYPE: &'static str = "transaction";
}

/// The kind of a batch whose items are posted all or nothing.
#[derive(Debug)]
pub(crate) enum Batch {}

impl Resource for Batch {
    const COLLECTION: &'static str = "batches";
    const TYPE: &'static str = "batch";
}

/// The id of a batch.
pub(crate) type BatchId = Id<Batch>;

/// The id of a transaction.
pub(crate) type TransactionId = Id<Transaction>;
