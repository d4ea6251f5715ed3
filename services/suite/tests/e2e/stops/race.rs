//! A customer with many accounts is stopped in the middle of a stream of postings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::refusal;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1::freeze::Direction;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use tonic::Status;

use super::act::{Act, freeze_customer, open, suspend};
use super::desk::Desk;
use crate::wire::{eur, request_id};
use crate::world::{run, world};

const ACCOUNTS: usize = 500;
const CALLERS: usize = 20;
/// What passes before the stop is asked for.
const BEFORE: usize = 100;
/// Accounts that are opened while the stop runs.
const OPENED: usize = 10;

struct Race {
    desk: Desk,
    customer: String,
    accounts: Vec<String>,
}

/// How far a stop is.
#[derive(Default)]
struct Progress {
    paid: AtomicUsize,
    /// Whether its answer has been seen.
    is_stopped: AtomicBool,
}

fn is_blocked(answer: &Result<String, Status>) -> bool {
    answer.as_ref().is_err_and(|status| {
        assert_eq!(refusal(status).0, Reason::AccountBlocked, "{status:?}");
        true
    })
}

impl Race {
    /// A customer with all the accounts, and a euro on each.
    async fn new() -> Self {
        let world = world().await;
        let clients = world.newcomer().await;
        let desk = Desk::of(&clients, world.at).await;
        let customer = desk.customer().await;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (desk, customer) = (desk.clone(), customer.clone());
            callers.spawn(async move {
                let mut names = Vec::new();
                for _ in 0..ACCOUNTS / CALLERS {
                    names.push(desk.act(&open(&customer).0).await);
                }
                names
            });
        }
        let accounts = callers.join_all().await.concat();
        all_at_once(&desk, &accounts, wire::Direction::Credit).await;
        Self { desk, customer, accounts }
    }

    /// Pays from each of the accounts of a caller, and to some, until all were asked after the
    /// stop. What is sent then and worsens a position is refused; what betters it passes or not.
    async fn stream(&self, caller: usize, progress: &Progress, credits: bool) {
        let own = self.accounts.iter().skip(caller).step_by(CALLERS);
        let (desk, mut left) = (&self.desk, own.clone().count());
        for (index, name) in own.cycle().enumerate() {
            let is_stopped = progress.is_stopped.load(Ordering::SeqCst);
            let paid = desk.pay(name, &desk.house, "0.01").await;
            assert!(is_blocked(&paid) || !is_stopped, "{name} pays after the stop");
            progress.paid.fetch_add(usize::from(paid.is_ok()), Ordering::Relaxed);
            if index.is_multiple_of(4) {
                let got = desk.pay(&desk.house, name, "0.01").await;
                assert!(!credits || !is_blocked(&got), "{name} gets nothing");
                assert!(credits || !is_stopped || is_blocked(&got), "{name} gets after the stop");
            }
            left -= usize::from(is_stopped);
            if left == 0 {
                return;
            }
        }
    }

    /// Stops the customer, and gives the accounts that came in between and the time of the answer.
    async fn stop(&self, stop: &Act, progress: &Progress) -> (Vec<String>, Timestamp) {
        while progress.paid.load(Ordering::Relaxed) < BEFORE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let opening = join_all(
            (0..OPENED).map(|_| async { open(&self.customer).0.send(&self.desk.clients).await }),
        );
        let stopping = async {
            let stopped = stop.send(&self.desk.clients).await;
            let at = Clock::system().now();
            progress.is_stopped.store(true, Ordering::SeqCst);
            stopped.unwrap();
            at
        };
        let (opened, at) = tokio::join!(opening, stopping);
        let opened = opened.into_iter().filter_map(|opened| match opened {
            Ok((name, _)) => Some(name),
            Err(status) => {
                assert_eq!(refusal(&status).0, Reason::InvalidTransition, "{status:?}");
                None
            }
        });
        (opened.collect(), at)
    }

    /// Runs a race against a stop, which credits pass or not, and lifts it again.
    async fn run(self: &Arc<Self>, (stop, lift): (Act, Act), credits: bool) {
        let progress = Arc::new(Progress::default());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (race, progress) = (Arc::clone(self), Arc::clone(&progress));
            callers.spawn(async move { race.stream(caller, &progress, credits).await });
        }
        let (mut all, at) = self.stop(&stop, &progress).await;
        callers.join_all().await;
        self.assert_nothing_later(at).await;

        let desk = &self.desk;
        if credits {
            all_at_once(desk, &self.accounts, wire::Direction::Credit).await;
        }
        match open(&self.customer).0.send(&desk.clients).await {
            Ok((name, _)) => all.push(name),
            Err(status) => assert!(!credits, "{status:?}"),
        }
        for name in &all {
            desk.assert_blocked(name, &desk.house).await;
        }
        desk.act(&lift).await;
        all.extend_from_slice(&self.accounts);
        all_at_once(desk, &all, wire::Direction::Credit).await;
        all_at_once(desk, &all, wire::Direction::Debit).await;
    }

    /// No entry of an account that worsens its position is later than a time.
    async fn assert_nothing_later(&self, at: Timestamp) {
        let mut callers = JoinSet::new();
        for names in self.accounts.chunks(ACCOUNTS.div_ceil(CALLERS)) {
            let (mut balances, names) = (self.desk.clients.balances.clone(), names.to_vec());
            callers.spawn(async move {
                for account in names {
                    let request = wire::ListEntriesRequest {
                        account,
                        page_size: 1,
                        filter: "direction = DEBIT".to_owned(),
                        ..Default::default()
                    };
                    let listed = balances.list_entries(request).await.unwrap().into_inner();
                    for entry in listed.entries {
                        let time = Timestamp::decode(entry.record_time.unwrap()).unwrap();
                        assert!(time <= at, "{entry:?} is later than {at:?}");
                    }
                }
            });
        }
        callers.join_all().await;
    }
}

/// Posts a euro to each of the accounts, or to none.
async fn all_at_once(desk: &Desk, names: &[String], direction: wire::Direction) {
    let entry = |account: &str, direction: wire::Direction, amount: &str| wire::Entry {
        account: account.to_owned(),
        direction: direction.into(),
        amount: Some(eur(amount)),
        ..Default::default()
    };
    let mut entries: Vec<wire::Entry> =
        names.iter().map(|name| entry(name, direction, "1.00")).collect();
    let other = match direction {
        wire::Direction::Debit => wire::Direction::Credit,
        _ => wire::Direction::Debit,
    };
    entries.push(entry(&desk.house, other, &format!("{}.00", names.len())));
    let transaction =
        wire::Transaction { r#type: "SALARIES".to_owned(), entries, ..Default::default() };
    let request = wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    };
    desk.clients.transactions.clone().create_transaction(request).await.unwrap();
}

#[test]
fn no_posting_passes_that_is_sent_after_a_customer_was_stopped() {
    run(Box::pin(async {
        let race = Arc::new(Race::new().await);
        race.run(freeze_customer(&race.customer, Direction::Debit), true).await;
        race.run(suspend(&race.customer), false).await;
        race.desk.assert_books().await;
    }));
}
