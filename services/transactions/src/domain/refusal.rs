//! Why something is refused.

use shared::money::Money;
use shared::time::{Day, Timestamp};

use super::limit::Exceeded;
use super::{AccountId, Act, EntryRef, HoldId, HoldState, LinkType, PeriodState, TransactionId};

/// What of a request a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// An entry, from 0.
    Entry(usize),
    /// The account of a hold.
    Hold,
    /// The destination of a hold.
    Destination,
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The ledger does not know an account.
    UnknownAccount { place: Place, account: AccountId },
    /// There is no such transaction.
    UnknownTransaction(TransactionId),
    /// There is no such hold.
    UnknownHold(HoldId),
    /// The id that the caller chose is in use.
    IdTaken(String),
    /// The external id is in use.
    ExternalIdTaken { kind: String, holder: String },
    /// A field does not fit what is there.
    Invalid { field: String, sentence: String },
    /// The amount's currency is not the one that it must be.
    CurrencyMismatch { field: String, of: String, found: Money, expected: String },
    /// The account is closed.
    Closed { place: Place, account: AccountId },
    /// A control forbids it.
    Blocked { place: Place, account: AccountId, act: Act, source: String, reason_code: String },
    /// The account would fall below its bound.
    InsufficientFunds {
        place: Place,
        account: AccountId,
        available: Money,
        held: Money,
        blocked: Money,
        limit: Money,
        shortfall: Money,
    },
    /// A limit forbids it.
    LimitExceeded { place: Place, account: AccountId, limit: Box<Exceeded> },
    /// A sum would have over 38 digits.
    Overflow { place: Place, account: AccountId },
    /// The account has another version than the caller expects.
    VersionMismatch { index: usize, account: AccountId, expected: i64, version: i64 },
    /// The account would have less than the caller wants.
    BalancePrecondition { index: usize, account: AccountId, required: Money, available: Money },
    /// The links of an entry would take more than it has.
    LinkExceeds { kind: LinkType, entry: EntryRef, remaining: Money, requested: Money },
    /// A reversal is not reversed.
    IsReversal(TransactionId),
    /// Debits and credits differ.
    Unbalanced { debits: Money, credits: Money },
    /// The day's period is closed to the caller.
    PeriodClosed { day: Day, state: PeriodState },
    /// The hold is past its expiry.
    HoldExpired { hold: HoldId, expire_time: Option<Timestamp> },
    /// The hold is captured or released.
    HoldFinished { hold: HoldId, state: HoldState },
    /// More is asked of a hold than it may give.
    CaptureExceeds { hold: HoldId, remaining: Money, requested: Money },
}
