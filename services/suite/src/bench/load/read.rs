//! One page, or one balance: what is asked for, and whether the answer is its own.

use rand::{Rng, RngExt as _};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;

use super::caller::{Bearer, Clients};
use super::plan::Book;
use super::transfer::account;
use crate::bench::case::Work;
use crate::bench::fill::{HOT, Mark};

/// Transactions or entries of one page: as many as where nothing is said.
const PAGE: i32 = 50;
/// Transfers of a period that is asked for.
const PERIOD: u64 = 1_000;

/// A question, and what every line of its answer must have.
pub(super) enum Question {
    Transactions { filter: String, wanted: Wanted },
    Entries { account: String },
    Balance { account: String },
}

/// What every transaction of a page must have.
pub(super) enum Wanted {
    Account(String),
    Label(String),
    Group(String),
    ExternalId(String),
    Period(Timestamp, Timestamp),
    Anything,
}

impl Question {
    /// A question of a kind about something that the fill has put into a book, by chance.
    pub(super) fn random(rng: &mut impl Rng, work: Work, book: &Book) -> Self {
        let filled = &book.filled;
        let any = account(rng.random_range(1..=book.accounts));
        let number = rng.random_range(1..=filled.transfers.max(1));
        let by = |filter: String, wanted| Self::Transactions { filter, wanted };
        let by_account = |name: String| by(format!("account = \"{name}\""), Wanted::Account(name));
        match work {
            Work::Balance => Self::Balance { account: any },
            Work::EntriesOfHotAccount => Self::Entries { account: account(HOT) },
            Work::TransactionsByAccount => by_account(any),
            Work::TransactionsByHotAccount => by_account(account(HOT)),
            Work::TransactionsByLabel => {
                let value = Mark::Label.value(number);
                by(format!("labels.{} = \"{value}\"", Mark::Label.key()), Wanted::Label(value))
            }
            Work::TransactionsByGroup => {
                let value = Mark::Group.value(number);
                by(format!("{} = \"{value}\"", Mark::Group.key()), Wanted::Group(value))
            }
            Work::TransactionsByExternalId => {
                let value = Mark::ExternalId.value(number);
                let kind = Mark::ExternalId.key();
                by(format!("external_ids.{kind} = \"{value}\""), Wanted::ExternalId(value))
            }
            Work::TransactionsByTime => {
                let number = number.min(filled.transfers.saturating_sub(PERIOD)).max(1);
                let (from, to) = (filled.time(number), filled.time(number + PERIOD));
                let filter = format!("record_time >= \"{from}\" AND record_time < \"{to}\"");
                by(filter, Wanted::Period(from, to))
            }
            Work::Transactions | Work::Transfers | Work::Holds => {
                by(String::new(), Wanted::Anything)
            }
        }
    }

    /// Asks it, and checks the answer.
    pub(super) async fn ask(&self, clients: &mut Clients, bearer: &Bearer) -> Result<(), Status> {
        let is_right = match self {
            Self::Balance { account } => {
                let request = wire::GetBalanceRequest { account: account.clone(), as_of: None };
                let balance = clients.balances.get_balance(bearer.request(request)).await?;
                balance.get_ref().account == *account
            }
            Self::Entries { account } => {
                let request = wire::ListEntriesRequest {
                    account: account.clone(),
                    page_size: PAGE,
                    ..wire::ListEntriesRequest::default()
                };
                let page = clients.balances.list_entries(bearer.request(request)).await?;
                is_latest_first(page.get_ref().entries.iter().map(|entry| entry.entry_seq))
                    && !page.get_ref().entries.is_empty()
            }
            Self::Transactions { filter, wanted } => {
                let request = wire::ListTransactionsRequest {
                    page_size: PAGE,
                    filter: filter.clone(),
                    ..wire::ListTransactionsRequest::default()
                };
                let page = clients.transactions.list_transactions(bearer.request(request)).await?;
                wanted.is_in(&page.get_ref().transactions)
            }
        };
        match is_right {
            true => Ok(()),
            false => Err(Status::internal(format!("the answer is not what was asked for: {self}"))),
        }
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transactions { filter, .. } => write!(f, "transactions where {filter}"),
            Self::Entries { account } => write!(f, "entries of {account}"),
            Self::Balance { account } => write!(f, "balance of {account}"),
        }
    }
}

impl Wanted {
    /// Whether a page is made of what was wanted, the latest first, and is not empty where there
    /// must be something.
    fn is_in(&self, page: &[wire::Transaction]) -> bool {
        let times = page.iter().filter_map(|transaction| transaction.record_time);
        let times = times.map(|time| (time.seconds, time.nanos));
        // By chance an account may have nothing.
        let may_be_empty = matches!(self, Self::Account(_));
        (may_be_empty || !page.is_empty())
            && page.iter().all(|transaction| self.is_had_by(transaction))
            && is_latest_first(times)
    }

    fn is_had_by(&self, transaction: &wire::Transaction) -> bool {
        match self {
            Self::Account(name) => transaction.entries.iter().any(|entry| entry.account == *name),
            Self::Label(value) => transaction.labels.get(Mark::Label.key()) == Some(value),
            Self::Group(value) => transaction.group_id == *value,
            Self::ExternalId(value) => {
                transaction.external_ids.get(Mark::ExternalId.key()) == Some(value)
            }
            Self::Period(from, to) => transaction
                .record_time
                .and_then(|time| Timestamp::decode(time).ok())
                .is_some_and(|time| (*from..*to).contains(&time)),
            Self::Anything => true,
        }
    }
}

fn is_latest_first<T: PartialOrd>(places: impl Iterator<Item = T>) -> bool {
    places.is_sorted_by(|earlier, later| earlier >= later)
}
