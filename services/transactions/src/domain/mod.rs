//! The rules of double entry: pure types and decisions, without a wire or a table.

mod account;
mod account_leaf;
mod act;
mod booking;
mod books;
mod closing;
mod commitments;
mod controls;
mod day;
mod disposition;
mod hold;
mod holding;
mod leaf;
mod limit;
mod link;
mod mismatch;
mod period;
mod posting;
mod refusal;
mod statement;
#[cfg(test)]
mod testing;
mod transaction;

use shared::ids::{Id, Resource};

pub(crate) use account::{AccountClass, Direction, LedgerAccount, NewAccount, Overdraft};
pub(crate) use account_leaf::{CLOSED, CONTROLLED, REGISTERED, REOPENED, account_leaf};
pub(crate) use act::{
    Capture, Extend, Increase, Made, NewHold, Order, Part, Release, Reversal, What,
};
pub(crate) use books::{Books, Changed, Collection, ExternalId};
pub(crate) use closing::{Month, NotClosed, PeriodChange, Step};
pub(crate) use commitments::{Commitments, DESCRIPTION, FORCE_REASON};
pub(crate) use controls::{
    Act, BLOCKS_MAX, Block, Controls, Effect, LIMITS_MAX, SOURCES_MAX, merge,
};
pub(crate) use day::DayTotal;
pub(crate) use disposition::{check_disposition, dispose};
pub(crate) use hold::{Hold, HoldEvent, HoldEventType, HoldState};
pub(crate) use leaf::{
    HELD, HOLD_REDACTED, POSTED, Redaction, TRANSACTION_REDACTED, held_leaf, posted_leaf,
    redacted_leaf,
};
pub(crate) use limit::{Counted, Limit, Scope, TYPES_MAX, Usage, UsageKey, Window, rolling_length};
pub(crate) use link::{EntryRef, Link, LinkType, Original, OriginalEntry};
pub(crate) use mismatch::{AUDITOR, Check, Finding, Mismatch, Resolution};
pub(crate) use period::{Closings, Late, PeriodState};
pub(crate) use refusal::{Place, Refusal};
pub(crate) use statement::{
    DAYS_MAX, LINES_MAX, NewStatement, STATED, Statement, StatementLine, StatementName, Tally,
    Written, line_hash,
};
pub(crate) use transaction::{
    BATCH_ENTRIES_MAX, ENTRIES_MAX, Evidence, Force, NewEntry, NewTransaction, Override, Overrides,
    PostedEntry, PostedTransaction, check_balance,
};

/// Declares the kind of a resource.
macro_rules! resource {
    ($kind:ident, $collection:literal, $type:literal) => {
        #[doc = concat!("The kind of ", $collection, ".")]
        #[derive(Debug)]
        pub(crate) enum $kind {}

        impl Resource for $kind {
            const COLLECTION: &'static str = $collection;
            const TYPE: &'static str = $type;
        }
    };
}

resource!(AccountKind, "accounts", "account");
resource!(BatchKind, "batches", "batch");
resource!(CustomerKind, "customers", "customer");
resource!(HoldKind, "holds", "hold");
resource!(MismatchKind, "mismatches", "mismatch");
resource!(RecordKind, "records", "record");
resource!(StatementKind, "statements", "statement");
resource!(TransactionKind, "transactions", "transaction");

/// The id of an account, which the accounts service knows it by too.
pub(crate) type AccountId = Id<AccountKind>;
/// The id of a batch whose items are posted all or nothing.
pub(crate) type BatchId = Id<BatchKind>;
/// The id of a customer of the accounts service.
pub(crate) type CustomerId = Id<CustomerKind>;
/// The id of a hold.
pub(crate) type HoldId = Id<HoldKind>;
/// The id of something that does not match.
pub(crate) type MismatchId = Id<MismatchKind>;
/// The id of a record of the records service.
pub(crate) type RecordId = Id<RecordKind>;
/// The id of a statement, within its account.
pub(crate) type StatementId = Id<StatementKind>;
/// The id of a transaction.
pub(crate) type TransactionId = Id<TransactionKind>;
