//! A kind of load on the service.

use serde::{Deserialize, Serialize};

/// Callers of batches, where nothing else is said.
const CALLERS_OF_BATCHES: usize = 32;
/// Callers on one connection, where there are enough; and connections at most.
const CALLERS_PER_CONNECTION: usize = 32;
const CONNECTIONS_MAX: usize = 16;
/// Transfers that come in bulk while holds are made.
pub(super) const BULK: u64 = 20_000;

/// What is asked for in every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    /// Transfers.
    Transfers,
    /// Holds.
    Holds,
    /// The latest page of an account's transactions.
    TransactionsByAccount,
    /// The same of the account that has most of them.
    TransactionsByHotAccount,
    /// The latest page of the transactions with a label.
    TransactionsByLabel,
    /// The latest page of a group.
    TransactionsByGroup,
    /// The one transaction that has an id of somebody else's.
    TransactionsByExternalId,
    /// The latest page of a period.
    TransactionsByTime,
    /// The latest page of all transactions.
    Transactions,
    /// The latest page of the entries of the account that has most of them.
    EntriesOfHotAccount,
    /// A balance.
    Balance,
}

impl Work {
    /// Everything that is read.
    pub(super) const READS: [Self; 9] = [
        Self::TransactionsByAccount,
        Self::TransactionsByHotAccount,
        Self::TransactionsByLabel,
        Self::TransactionsByGroup,
        Self::TransactionsByExternalId,
        Self::TransactionsByTime,
        Self::Transactions,
        Self::EntriesOfHotAccount,
        Self::Balance,
    ];

    /// In a few words; nothing of what is meant anyway.
    pub(super) fn title(self) -> Option<&'static str> {
        Some(match self {
            Self::Transfers => return None,
            Self::Holds => "CreateHold",
            Self::TransactionsByAccount => "ListTransactions by account",
            Self::TransactionsByHotAccount => "ListTransactions by a hot account",
            Self::TransactionsByLabel => "ListTransactions by label",
            Self::TransactionsByGroup => "ListTransactions by group",
            Self::TransactionsByExternalId => "ListTransactions by external id",
            Self::TransactionsByTime => "ListTransactions by time",
            Self::Transactions => "ListTransactions of all",
            Self::EntriesOfHotAccount => "ListEntries of a hot account",
            Self::Balance => "GetBalance",
        })
    }
}

/// One kind of load on the service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Case {
    pub(super) work: Work,
    pub(super) callers: usize,
    pub(super) connections: usize,
    pub(super) batch: usize,
    pub(super) tenants: usize,
    pub(super) hot: bool,
    pub(super) replicas: usize,
    /// Whether somebody watches the events meanwhile.
    pub(super) watched: bool,
    pub(super) rate: Option<f64>,
    /// Transfers that come in bulk meanwhile. The measurement ends with them.
    pub(super) bulk: u64,
}

impl Case {
    /// So many callers of one tenant, on one replica.
    pub(super) fn unary(callers: usize) -> Self {
        Self {
            work: Work::Transfers,
            callers,
            connections: (callers / CALLERS_PER_CONNECTION).clamp(1, CONNECTIONS_MAX),
            batch: 1,
            tenants: 1,
            hot: false,
            replicas: 1,
            watched: false,
            rate: None,
            bulk: 0,
        }
    }

    /// A hundred transfers in each call.
    pub(super) fn batches() -> Self {
        Self { batch: 100, ..Self::unary(CALLERS_OF_BATCHES) }
    }

    /// Holds, while transfers come in bulk.
    pub(super) fn holds() -> Self {
        Self { work: Work::Holds, bulk: BULK, ..Self::unary(64) }
    }

    /// One caller who reads: what one page takes, and not what a queue for it does.
    pub(super) fn read(work: Work) -> Self {
        Self { work, ..Self::unary(1) }
    }

    /// In a few words.
    pub(super) fn title(&self) -> String {
        let several = |number: usize, what: &str| {
            (number > 1).then(|| format!("{} {what}", grouped(number as u64)))
        };
        let calls = match self.rate {
            Some(rate) => Some(format!("open loop, {rate:.0} calls/s")),
            None => several(self.callers, "callers").or(Some("1 caller".to_owned())),
        };
        let is_read = Work::READS.contains(&self.work);
        let parts = [
            self.work.title().map(str::to_owned),
            calls.filter(|_| !is_read),
            several(self.batch, "a call"),
            several(self.tenants, "tenants"),
            self.hot.then(|| "one hot account".to_owned()),
            several(self.replicas, "replicas"),
            self.watched.then(|| "watched".to_owned()),
            (self.bulk > 0).then(|| format!("{} in bulk", grouped(self.bulk))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What this load is compared with beside the floors: the same without what is special in it.
    pub(super) fn reference(&self) -> Option<Self> {
        let plain = Self { tenants: 1, hot: false, replicas: 1, bulk: 0, watched: false, ..*self };
        (plain != *self).then_some(plain)
    }
}

/// A number with commas: 1,024.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let all = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_special_load_is_compared_with_the_plain_one() {
        let hot = Case { hot: true, ..Case::unary(64) };
        assert_eq!(hot.reference(), Some(Case::unary(64)));
        assert_eq!(Case::unary(64).reference(), None);
        let idle = Case::holds().reference().unwrap();
        assert_eq!((idle.work, idle.bulk), (Work::Holds, 0));
    }

    #[test]
    fn a_title_says_what_is_special() {
        assert_eq!(Case::unary(1).title(), "1 caller");
        assert_eq!(Case::batches().title(), "32 callers, 100 a call");
        assert_eq!(Case::holds().title(), "CreateHold, 64 callers, 20,000 in bulk");
        assert_eq!(Case::read(Work::Balance).title(), "GetBalance");
    }
}
